// SPDX-License-Identifier: MPL-2.0
//
// The age v1 file: a textual header with one stanza per recipient, then the encrypted payload. Source: c2sp.org/age;
// rule numbers: spec keys-age.md 5. Knows nothing of recipients: how a stanza hides the file key is theirs.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/secure_bytes.h"

namespace sops::age {

inline constexpr size_t kFileKeySize = 16;
inline constexpr size_t kPayloadNonceSize = 16;
inline constexpr size_t kChunkSize = 65536;

/// A header with more text than this is refused: the one of a data key has a few hundred bytes.
inline constexpr size_t kMaxHeaderSize = 1 << 20;

/// One recipient's part of the header: "-> X25519 <share>" and a body. args[0] is the type; at least one argument.
struct Stanza {
  std::vector<std::string> args;
  std::vector<uint8_t> body;

  bool operator==(const Stanza&) const = default;
};

/// A parsed age file. The views point into the bytes that were parsed and live as long as those.
struct FileView {
  std::vector<Stanza> stanzas;
  std::array<uint8_t, 32> mac{};
  std::string_view authenticated;    // what the MAC covers: the header to its three dashes
  std::span<const uint8_t> nonce;    // of the payload, 16 bytes
  std::span<const uint8_t> payload;  // the chunks
};

/// Takes an age file apart. Linear time. Nothing is authenticated yet.
/// Errors: kMalformed, "failed to read header: …"; kUnsupported for a later version of age.
Result<FileView> parse_file(std::span<const uint8_t> bytes);

/// The header text of `stanzas` to the three dashes: what the MAC covers. REQUIRES: the arguments are printable ASCII
/// without spaces, not empty.
std::string header_text(std::span<const Stanza> stanzas);

/// header_text(), a blank, the MAC, a newline: the whole header.
std::string header_with_mac(std::string_view header_text, const std::array<uint8_t, 32>& mac);

/// The MAC of a header (5.7).
std::array<uint8_t, 32> header_mac(const SecureBytes& file_key, std::string_view header_text);

/// Decrypts the payload and appends it to `out`. After an error `out` holds what was verified before it (5.11).
/// Errors: kAuthFailed for a chunk that does not authenticate; kMalformed for a missing, empty or superfluous last
/// chunk.
Result<void> decrypt_payload(const SecureBytes& file_key, const FileView& file, SecureBuffer& out);

/// Checks the MAC, then decrypts the whole payload.
/// Errors: kAuthFailed ("bad header MAC"), and those of decrypt_payload.
Result<SecureBytes> open_file(const SecureBytes& file_key, const FileView& file);

/// Makes an age file. `nonce`: 16 random bytes. REQUIRES: at least one stanza.
std::vector<uint8_t> seal_file(std::span<const Stanza> stanzas, const SecureBytes& file_key,
                               std::span<const uint8_t> nonce, std::span<const uint8_t> plaintext);

}  // namespace sops::age
