// SPDX-License-Identifier: MPL-2.0
//
//   age-encryption.org/v1
//   -> X25519 XuFbrn7N7h19MJ8If808dplXkSot2kVFwDl8+pfaRWI4     type and arguments
//   KsDsN3kOG5n+fCHyz7KLfRtV8myRIedGYllD4Oe5E8U                 body: lines of 64 characters, then one shorter line,
//   maybe empty
//   --- fXiKBE/3bCiHORqg+D6UdnFpVH0byuXqXtY7rsSDW34             HMAC of everything to the dashes
//   <16 bytes nonce> <chunk> <chunk> … <last chunk>
//
// A chunk is 64 KiB of plaintext and a 16-byte tag. Its nonce is its number and a flag that says whether it is the
// last, so chunks cannot be swapped, repeated or cut off.
#include "keysources/age/file.h"

#include <algorithm>
#include <optional>

#include "base/codec.h"
#include "crypto/aead.h"
#include "crypto/hash.h"

namespace sops::age {

namespace {

constexpr std::string_view kIntro = "age-encryption.org/v1";
constexpr std::string_view kIntroOfAnyVersion = "age-encryption.org/v";
constexpr std::string_view kFooter = "---";
constexpr size_t kBodyColumns = 64;
constexpr size_t kBytesPerBodyLine = 48;

Failure bad_header(std::string_view why) { return fail(ErrorCode::kMalformed, "failed to read header: {}", why); }

// The header, line by line.
class HeaderReader {
 public:
  explicit HeaderReader(std::string_view text) : text_(text) {}

  size_t position() const { return position_; }
  bool at(std::string_view prefix) const { return text_.substr(position_).starts_with(prefix); }

  // The next line without its LF; the LF must be there (5.7: "A file whose final line lacks LF is truncated").
  Result<std::string_view> line() {
    const size_t left = kMaxHeaderSize - std::min(position_, kMaxHeaderSize);
    const std::string_view window = text_.substr(position_, left);
    const size_t end = window.find('\n');
    if (end == std::string_view::npos) {
      if (position_ + window.size() < text_.size()) return bad_header("it is longer than 1 MiB");
      return bad_header("it ends too early");
    }
    position_ += end + 1;
    return window.substr(0, end);
  }

 private:
  std::string_view text_;
  size_t position_ = 0;
};

// 5.1: stanza = "->" SP arg *(SP arg) LF …; arg = 1*%x21-7E
Result<std::vector<std::string>> parse_arguments(std::string_view line) {
  constexpr std::string_view kArrow = "-> ";
  if (!line.starts_with(kArrow)) return bad_header("a line is neither a stanza nor the end");
  std::vector<std::string> args;
  for (std::string_view arg : split(line.substr(kArrow.size()), ' ')) {
    if (arg.empty()) return bad_header("an argument of a stanza is empty");
    if (std::ranges::any_of(arg, [](char c) { return c < 0x21 || c > 0x7e; })) {
      return bad_header("an argument of a stanza has a character that is not allowed");
    }
    args.emplace_back(arg);
  }
  return args;
}

// 5.4: full lines, then one shorter line.
Result<std::vector<uint8_t>> parse_body(HeaderReader& reader) {
  std::vector<uint8_t> body;
  while (true) {
    const std::string_view line = TRY(reader.line());
    if (line.size() > kBodyColumns) return bad_header("a line of a stanza is longer than 64 columns");
    uint8_t decoded[base64_decoded_bound(kBodyColumns)];
    const auto count = base64_decode_unpadded(line, decoded);
    if (!count) return bad_header("the body of a stanza is no canonical base64");
    body.insert(body.end(), decoded, decoded + *count);
    if (line.size() < kBodyColumns) return body;
  }
}

// 5.1: "---" SP mac LF; mac = 43*43b64char
Result<std::array<uint8_t, 32>> parse_mac(std::string_view line) {
  std::array<uint8_t, 32> mac{};
  const std::string_view text = line.substr(kFooter.size());
  uint8_t decoded[base64_decoded_bound(43)];
  if (text.size() != 44 || text[0] != ' ' || base64_decode_unpadded(text.substr(1), decoded) != mac.size()) {
    return bad_header("the MAC is not 43 characters of canonical base64");
  }
  std::copy_n(decoded, mac.size(), mac.begin());
  return mac;
}

// 5.9: the nonce of a chunk.
std::array<uint8_t, 12> chunk_nonce(uint64_t counter, bool is_last) {
  std::array<uint8_t, 12> nonce{};
  for (size_t i = 0; i < 8; ++i) nonce[10 - i] = static_cast<uint8_t>(counter >> (8 * i));
  nonce[11] = is_last ? 1 : 0;
  return nonce;
}

SecureBytes payload_key(const SecureBytes& file_key, std::span<const uint8_t> nonce) {
  return hkdf_sha256(file_key.expose(), nonce, "payload", 32);
}

}  // namespace

Result<FileView> parse_file(std::span<const uint8_t> bytes) {
  const std::string_view text = as_text(bytes);
  HeaderReader reader(text);
  const std::string_view intro = TRY(reader.line());
  if (intro != kIntro) {
    if (intro.starts_with(kIntroOfAnyVersion)) {
      return fail(ErrorCode::kUnsupported, "failed to read header: this version of the age format is not supported yet")
          .hint("version 1 is");
    }
    return bad_header("it does not begin with age-encryption.org/v1");
  }
  FileView file;
  while (!reader.at(kFooter)) {
    const std::string_view line = TRY(reader.line());
    Stanza stanza;
    stanza.args = TRY(parse_arguments(line));
    stanza.body = TRY(parse_body(reader));
    file.stanzas.push_back(std::move(stanza));
  }
  file.authenticated = text.substr(0, reader.position() + kFooter.size());
  const std::string_view last = TRY(reader.line());
  file.mac = TRY(parse_mac(last));
  const std::span<const uint8_t> rest = bytes.subspan(reader.position());
  if (rest.size() < kPayloadNonceSize) return bad_header("the nonce of the payload is missing");
  file.nonce = rest.first(kPayloadNonceSize);
  file.payload = rest.subspan(kPayloadNonceSize);
  return file;
}

std::string header_text(std::span<const Stanza> stanzas) {
  std::string text(kIntro);
  text += '\n';
  for (const Stanza& stanza : stanzas) {
    text += "-> ";
    text += join(stanza.args, " ");
    text += '\n';
    // The last line is shorter than 64 columns, so a body of whole lines is followed by an empty one.
    const std::span<const uint8_t> body = stanza.body;
    for (size_t done = 0; done <= body.size(); done += kBytesPerBodyLine) {
      text += base64_encode_unpadded(body.subspan(done, std::min(kBytesPerBodyLine, body.size() - done)));
      text += '\n';
    }
  }
  text += kFooter;
  return text;
}

std::string header_with_mac(std::string_view header_text, const std::array<uint8_t, 32>& mac) {
  return format("{} {}\n", header_text, base64_encode_unpadded(mac));
}

std::array<uint8_t, 32> header_mac(const SecureBytes& file_key, std::string_view header_text) {
  const SecureBytes key = hkdf_sha256(file_key.expose(), {}, "header", 32);
  return hmac_sha256(key.expose(), as_bytes(header_text));
}

Result<void> decrypt_payload(const SecureBytes& file_key, const FileView& file, SecureBuffer& out) {
  constexpr size_t kSealedChunkSize = kChunkSize + kAeadTagSize;
  const SecureBytes key = payload_key(file_key, file.nonce);
  std::span<const uint8_t> rest = file.payload;
  out.reserve(out.size() + rest.size());
  for (uint64_t counter = 0;; ++counter) {
    if (rest.empty()) return fail(ErrorCode::kMalformed, "the age payload is cut off");
    const bool is_full = rest.size() >= kSealedChunkSize;
    const std::span<const uint8_t> sealed = rest.first(std::min(kSealedChunkSize, rest.size()));
    rest = rest.subspan(sealed.size());
    // 5.11: a short chunk must be the last; a full one may be either.
    bool is_last = !is_full;
    auto chunk = chacha20poly1305_open(key.expose(), chunk_nonce(counter, is_last), sealed);
    if (!chunk && is_full) {
      is_last = true;
      chunk = chacha20poly1305_open(key.expose(), chunk_nonce(counter, is_last), sealed);
    }
    if (!chunk) {
      return fail(ErrorCode::kAuthFailed, "the age payload does not authenticate").hint("it was damaged or cut off");
    }
    // 5.10: the last chunk "may be empty only if it is the only chunk"
    if (chunk->empty() && counter > 0) return fail(ErrorCode::kMalformed, "the age payload ends with an empty chunk");
    out.append(chunk->expose_text());
    if (!is_last) continue;
    if (!rest.empty()) return fail(ErrorCode::kMalformed, "something follows the age payload");
    return {};
  }
}

Result<SecureBytes> open_file(const SecureBytes& file_key, const FileView& file) {
  if (!ct_equal(header_mac(file_key, file.authenticated), file.mac)) {
    return fail(ErrorCode::kAuthFailed, "bad header MAC").hint("the age file was changed after it was written");
  }
  SecureBuffer plaintext;
  TRY(decrypt_payload(file_key, file, plaintext));
  return plaintext.take();
}

std::vector<uint8_t> seal_file(std::span<const Stanza> stanzas, const SecureBytes& file_key,
                               std::span<const uint8_t> nonce, std::span<const uint8_t> plaintext) {
  SOPS_CHECK(!stanzas.empty() && nonce.size() == kPayloadNonceSize, "a file that nobody can open is a mistake");
  const std::string header = header_text(stanzas);
  const std::string complete = header_with_mac(header, header_mac(file_key, header));
  std::vector<uint8_t> file;
  file.reserve(complete.size() + nonce.size() + plaintext.size() + (plaintext.size() / kChunkSize + 1) * kAeadTagSize);
  file.insert(file.end(), complete.begin(), complete.end());
  file.insert(file.end(), nonce.begin(), nonce.end());
  const SecureBytes key = payload_key(file_key, nonce);
  uint64_t counter = 0;
  size_t done = 0;
  bool is_last = false;
  while (!is_last) {
    const size_t size = std::min(kChunkSize, plaintext.size() - done);
    is_last = done + size == plaintext.size();
    const SecureBytes sealed =
        chacha20poly1305_seal(key.expose(), chunk_nonce(counter++, is_last), plaintext.subspan(done, size));
    file.insert(file.end(), sealed.expose().begin(), sealed.expose().end());
    done += size;
  }
  return file;
}

}  // namespace sops::age
