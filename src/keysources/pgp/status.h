// SPDX-License-Identifier: MPL-2.0
//
// What gpg says to programs: status lines and key listings (GnuPG's doc/DETAILS). Its words for people are never read,
// because they are translated (keys.md 4.3). Pure functions; the text may come from anybody.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sops::pgp {

/// Error codes of libgpg-error that we tell apart; the source of an error is left out.
enum GpgError : uint32_t {
  kBadPassphrase = 11,
  kInvalidValue = 55,  // of a good message: what a busy gpg-agent 2.2.40 gives for an RSA key, seldom
  kTimedOut = 62,
  kNoAgent = 77,
  kAgentFailed = 78,
  kNoPinentry = 85,
  kCanceled = 99,
  kNoCard = 112,
  kNoPassphrase = 177,
  kFullyCanceled = 198,
  kOutOfMemory = 32854,   // ENOMEM
  kNotATerminal = 32870,  // ENOTTY
};

/// What the status lines of one run say.
struct GpgStatus {
  bool is_silent = true;                  // there is no status line at all
  std::vector<std::string> encrypted_to;  // ENC_TO: key ids of 16 digits, all zero for a hidden one
  std::vector<std::string> missing_keys;  // NO_SECKEY
  std::vector<uint32_t> errors;           // ERROR: codes
  std::optional<int> refused_recipient;   // INV_RECP: the reason
  bool asks_for_own_passphrase = false;   // NEED_PASSPHRASE_SYM: the message needs no key but a passphrase
  bool is_decrypted = false;              // DECRYPTION_OKAY
  bool is_damaged = false;                // BADMDC, DECRYPTION_FAILED
  bool is_no_message = false;             // NODATA

  bool has_error(uint32_t code) const;
  /// Whether gpg-agent failed because it had too much to do. The same call can succeed a moment later.
  bool is_agent_overtaxed() const;
};

/// Reads the lines that begin with "[GNUPG:] "; others, and words it does not know, count for nothing.
GpgStatus parse_status(std::string_view text);

/// A public key or subkey in a listing.
struct ListedKey {
  bool is_primary = false;
  std::string id;            // 16 upper-case digits
  char validity = '-';       // e: expired, r: revoked, d: disabled, i: invalid …
  std::string capabilities;  // small letters: its own; capitals: of the whole key; D: disabled

  bool has(char capability) const { return capabilities.find(capability) != std::string::npos; }
};

/// Reads the lines `pub` and `sub` of `gpg --with-colons --list-keys`.
std::vector<ListedKey> parse_key_listing(std::string_view text);

/// Why gpg will not encrypt to the key that a listing shows, for the end of a sentence; "" if nothing is wrong with it.
/// `subkey` is the id of the one that must be used ("" leaves the choice to gpg).
std::string refusal(const std::vector<ListedKey>& listing, std::string_view subkey);

}  // namespace sops::pgp
