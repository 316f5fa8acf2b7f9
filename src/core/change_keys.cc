// SPDX-License-Identifier: MPL-2.0
#include "core/change_keys.h"

#include <algorithm>

#include "core/shamir.h"
#include "core/update.h"

namespace sops {

namespace {

KeyName name_of(const KeyEntry& entry) { return {.source = entry.source, .id = key_id(entry)}; }

KeyName name_of(const MasterKeyRef& key) { return {.source = std::string(key.first->id), .id = key.second->id()}; }

template <class Keys>
std::vector<KeyName> names_of(const Keys& keys) {
  std::vector<KeyName> names;
  for (const auto& key : keys) names.push_back(name_of(key));
  return names;
}

bool contains(const std::vector<KeyName>& names, const KeyName& name) { return std::ranges::count(names, name) > 0; }

// The threshold that the shares of a file were made with.
size_t threshold_of_shares(const Metadata& metadata) {
  return metadata.shamir_threshold > 0 ? static_cast<size_t>(metadata.shamir_threshold) : metadata.groups.size();
}

// The share of group `index`; nullopt if it was neither recovered nor can be computed.
std::optional<SecureBytes> share_of(const RecoveredKey& recovered, const Metadata& metadata, size_t index) {
  if (recovered.shares[index]) return recovered.shares[index]->clone();
  // Any other point of the same polynomials would do, but not one that another group has: so this is for files whose
  // shares stand where SOPS puts them (keyservice-shamir.md 8.3).
  std::vector<SecureBytes> known;
  for (size_t i = 0; i < recovered.shares.size(); ++i) {
    if (!recovered.shares[i]) continue;
    if (recovered.shares[i]->expose().back() != i + 1) return std::nullopt;
    known.push_back(recovered.shares[i]->clone());
  }
  if (known.size() < threshold_of_shares(metadata) || index >= 255) return std::nullopt;
  auto share = share_at(known, static_cast<uint8_t>(index + 1));
  if (!share) return std::nullopt;
  return std::move(*share);
}

// Entries that stay, and new ones behind them. nullopt if there is a group whose share cannot be had.
Result<std::optional<std::vector<KeyGroup>>> add_and_remove(const Metadata& metadata, const RecoveredKey& recovered,
                                                            std::span<const MasterKeyList> wanted, Services& services) {
  std::vector<KeyGroup> groups(wanted.size());
  std::vector<SecureBytes> shares(wanted.size());
  std::vector<WrapRequest> requests;
  std::vector<size_t> group_of_request;
  for (size_t i = 0; i < wanted.size(); ++i) {
    const std::vector<KeyName> names = names_of(wanted[i]);
    for (const KeyEntry& entry : metadata.groups[i]) {
      if (contains(names, name_of(entry))) groups[i].push_back(entry);
    }
    std::vector<KeyName> known = names_of(metadata.groups[i]);
    for (const MasterKeyRef& key : wanted[i]) {
      if (contains(known, name_of(key))) continue;
      known.push_back(name_of(key));
      const SecureBytes* secret = &recovered.key.bytes();
      if (wanted.size() > 1) {
        if (shares[i].empty()) {
          auto share = share_of(recovered, metadata, i);
          if (!share) return std::optional<std::vector<KeyGroup>>();
          shares[i] = std::move(*share);
        }
        secret = &shares[i];
      }
      requests.push_back({.key = key, .secret = secret});
      group_of_request.push_back(i);
    }
  }
  std::vector<KeyEntry> entries = TRY(wrap_for_keys(requests, services));
  for (size_t i = 0; i < entries.size(); ++i) groups[group_of_request[i]].push_back(std::move(entries[i]));
  return std::optional(std::move(groups));
}

}  // namespace

bool KeyDifference::empty() const {
  return threshold_before == threshold_after &&
         std::ranges::all_of(groups, [](const Group& group) { return group.added.empty() && group.removed.empty(); });
}

bool KeyDifference::removes_any() const {
  return std::ranges::any_of(groups, [](const Group& group) { return !group.removed.empty(); });
}

int64_t threshold_for(const Metadata& metadata, size_t groups) {
  return std::min(metadata.shamir_threshold, static_cast<int64_t>(groups));
}

KeyDifference compare_keys(const Metadata& metadata, std::span<const MasterKeyList> wanted, int64_t threshold) {
  KeyDifference difference{.threshold_before = metadata.shamir_threshold, .threshold_after = threshold};
  difference.groups.resize(std::max(metadata.groups.size(), wanted.size()));
  for (size_t i = 0; i < difference.groups.size(); ++i) {
    KeyDifference::Group& group = difference.groups[i];
    const std::vector<KeyName> before =
        i < metadata.groups.size() ? names_of(metadata.groups[i]) : std::vector<KeyName>();
    const std::vector<KeyName> after = i < wanted.size() ? names_of(wanted[i]) : std::vector<KeyName>();
    for (const KeyName& name : after) {
      std::vector<KeyName>& list = contains(before, name) ? group.kept : group.added;
      if (!contains(list, name)) list.push_back(name);
    }
    for (const KeyName& name : before) {
      if (!contains(after, name)) group.removed.push_back(name);
    }
  }
  return difference;
}

bool needs_fresh_shares(const Metadata& metadata, std::span<const MasterKeyList> wanted, int64_t threshold) {
  if (metadata.groups.size() != wanted.size()) return true;
  if (wanted.size() == 1) return false;
  const size_t needed = threshold > 0 ? static_cast<size_t>(threshold) : wanted.size();
  if (needed != threshold_of_shares(metadata)) return true;
  for (size_t i = 0; i < wanted.size(); ++i) {
    const std::vector<KeyName> before = names_of(metadata.groups[i]);
    for (const KeyName& name : names_of(wanted[i])) {
      if (contains(before, name)) continue;
      for (const KeyGroup& other : metadata.groups) {
        if (contains(names_of(other), name)) return true;
      }
    }
  }
  return false;
}

Result<Metadata> change_keys(const OpenedFile& file, const RecoveredKey& recovered,
                             std::span<const MasterKeyList> wanted, int64_t threshold, Services& services) {
  Metadata metadata = file.metadata;
  metadata.shamir_threshold = threshold;
  const bool is_empty = wanted.empty() || std::ranges::any_of(wanted, &MasterKeyList::empty);
  if (!is_empty && !needs_fresh_shares(file.metadata, wanted, threshold)) {
    auto groups = TRY(add_and_remove(file.metadata, recovered, wanted, services));
    if (groups) {
      metadata.groups = std::move(*groups);
      return metadata;
    }
  }
  WrappedKey wrapped = TRY(wrap_data_key(recovered.key, wanted, threshold, services));
  metadata.groups = std::move(wrapped.groups);
  metadata.shamir_threshold = wrapped.shamir_threshold;
  return metadata;
}

Result<std::vector<MasterKeyList>> master_keys_of(const Metadata& metadata, MasterKeys& owner) {
  std::vector<MasterKeyList> groups;
  Error all;
  for (const KeyGroup& group : metadata.groups) {
    MasterKeyList& list = groups.emplace_back();
    for (const KeyEntry& entry : group) {
      auto key = master_key_of(entry);
      if (!key) {
        Error cause = std::move(key.error());
        cause.hint.clear();
        cause.context.push_back(format("{} {}", entry.source, escape_for_message(key_id(entry))));
        all.causes.push_back(std::move(cause));
        continue;
      }
      list.emplace_back(find_key_source(entry.source), key->get());
      owner.push_back(std::move(*key));
    }
  }
  if (all.causes.empty()) return groups;
  all.code = ErrorCode::kUnsupported;
  all.message = "the data key cannot be encrypted for all master keys of the file";
  all.hint = "use SOPS for this file, or remove these keys from it";
  return fail(std::move(all));
}

Result<SecureBytes> rotate_data_key(OpenedFile& file, std::string_view plain, const KeyEdits& edits,
                                    const EmitStyle& style, Services& services) {
  // Keys that go need not be ones that we can use.
  Metadata metadata = file.metadata;
  for (const KeyName& name : edits.removed) {
    bool was_there = std::ranges::any_of(edits.added, [&](const auto& key) { return name_of(key) == name; });
    for (KeyGroup& group : metadata.groups) {
      const auto gone = std::erase_if(group, [&](const KeyEntry& entry) { return name_of(entry) == name; });
      was_there = was_there || gone > 0;
    }
    if (!was_there) {
      file.warnings.push_back(format("{} {} is no key of the file, so there is nothing to remove", name.source,
                                     escape_for_message(name.id)));
    }
  }
  MasterKeys owner;
  std::vector<MasterKeyList> groups = TRY(master_keys_of(metadata, owner));
  for (const MasterKeyRef& key : edits.added) {
    const KeyName name = name_of(key);
    if (!contains(names_of(groups.front()), name) && !contains(edits.removed, name)) groups.front().push_back(key);
  }

  const DataKey key = DataKey::generate(services.random);
  WrappedKey wrapped = TRY(wrap_data_key(key, groups, metadata.shamir_threshold, services));
  metadata.groups = std::move(wrapped.groups);
  metadata.shamir_threshold = wrapped.shamir_threshold;
  UpdateOptions options{.new_data_key = true, .allow_plaintext = true, .style = style, .data_key = &key};
  options.metadata = std::move(metadata);
  EncryptResult result = TRY(update_text(file, plain, options, services));
  for (std::string& warning : result.warnings) {
    if (std::ranges::count(file.warnings, warning) == 0) file.warnings.push_back(std::move(warning));
  }
  return std::move(result.text);
}

}  // namespace sops
