// SPDX-License-Identifier: MPL-2.0
#include "keysources/pgp/status.h"

#include <algorithm>
#include <charconv>

#include "base/text.h"

namespace sops::pgp {

namespace {

constexpr std::string_view kPrefix = "[GNUPG:] ";
constexpr size_t kMostIds = 1000;  // of a message that names more keys than anybody has

std::optional<uint32_t> number(std::string_view word) {
  uint32_t value = 0;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
  if (error != std::errc() || end != word.data() + word.size()) return std::nullopt;
  return value;
}

// A key id in the one spelling in which we compare them; nullopt if it is none.
std::optional<std::string> key_id(std::string_view word) {
  std::string id = to_upper(word);
  if (id.size() != 16 || id.find_first_not_of("0123456789ABCDEF") != std::string::npos) return std::nullopt;
  return id;
}

void add_id(std::vector<std::string>& ids, std::string_view word) {
  if (auto id = key_id(word); id && ids.size() < kMostIds) ids.push_back(std::move(*id));
}

void read_line(const std::vector<std::string_view>& words, GpgStatus& status) {
  constexpr uint32_t kCodeMask = 0xffff;  // libgpg-error: the source is above
  const std::string_view keyword = words[0];
  const std::string_view first = words.size() > 1 ? words[1] : "";
  if (keyword == "ENC_TO") add_id(status.encrypted_to, first);
  if (keyword == "NO_SECKEY") add_id(status.missing_keys, first);
  if (keyword == "ERROR" && words.size() > 2 && status.errors.size() < kMostIds) {
    if (const auto code = number(words[2])) status.errors.push_back(*code & kCodeMask);
  }
  if (keyword == "INV_RECP") status.refused_recipient = static_cast<int>(number(first).value_or(0) & kCodeMask);
  if (keyword == "NEED_PASSPHRASE_SYM") status.asks_for_own_passphrase = true;
  if (keyword == "DECRYPTION_OKAY") status.is_decrypted = true;
  if (keyword == "BADMDC" || keyword == "DECRYPTION_FAILED") status.is_damaged = true;
  if (keyword == "NODATA") status.is_no_message = true;
}

bool can_encrypt(const ListedKey& key) {
  return key.has('e') && std::string_view("eridn").find(key.validity) == std::string_view::npos;
}

}  // namespace

bool GpgStatus::has_error(uint32_t code) const { return std::ranges::find(errors, code) != errors.end(); }

bool GpgStatus::is_agent_overtaxed() const { return has_error(kOutOfMemory) || has_error(kInvalidValue); }

GpgStatus parse_status(std::string_view text) {
  GpgStatus status;
  for (std::string_view line : split(text, '\n')) {
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (!line.starts_with(kPrefix)) continue;
    status.is_silent = false;
    read_line(split(line.substr(kPrefix.size()), ' '), status);
  }
  return status;
}

// Fields, from 1: 1 the kind, 2 the validity, 5 the key id, 12 the capabilities.
std::vector<ListedKey> parse_key_listing(std::string_view text) {
  std::vector<ListedKey> keys;
  for (std::string_view line : split(text, '\n')) {
    const auto fields = split(line, ':');
    if (fields.size() < 12 || (fields[0] != "pub" && fields[0] != "sub")) continue;
    auto id = key_id(fields[4]);
    if (!id) continue;
    keys.push_back({.is_primary = fields[0] == "pub",
                    .id = std::move(*id),
                    .validity = fields[1].empty() ? '-' : fields[1][0],
                    .capabilities = std::string(fields[11])});
  }
  return keys;
}

std::string refusal(const std::vector<ListedKey>& listing, std::string_view subkey) {
  const auto primary = std::ranges::find(listing, true, &ListedKey::is_primary);
  if (primary == listing.end()) return "it is not among the public keys here";
  if (primary->validity == 'r') return "it is revoked";
  if (primary->validity == 'e') return "it has expired";
  if (primary->validity == 'i') return "it is invalid: its own signature is missing or bad";
  if (primary->validity == 'd' || primary->has('D')) return "it is disabled";
  std::vector<ListedKey> candidates;
  for (const ListedKey& key : listing) {
    if (subkey.empty() ? key.has('e') : key.id == subkey) candidates.push_back(key);
  }
  if (std::ranges::any_of(candidates, can_encrypt)) return "";
  const std::string_view which = subkey.empty() ? "its encryption subkey" : "that subkey";
  for (const ListedKey& key : candidates) {
    if (!key.has('e')) return format("{} cannot encrypt", which);
    if (key.validity == 'e') return format("{} has expired", which);
    if (key.validity == 'r') return format("{} is revoked", which);
  }
  return candidates.empty() && !subkey.empty() ? "it has no such subkey" : "it has no part that can encrypt";
}

}  // namespace sops::pgp
