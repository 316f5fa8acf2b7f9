// SPDX-License-Identifier: MPL-2.0
#include "core/key_groups.h"

#include <algorithm>

#include "core/shamir.h"

namespace sops {

Result<DecryptionOrder> parse_decryption_order(std::string_view text) {
  DecryptionOrder order;
  for (std::string_view word : split(text.empty() ? "age,pgp" : text, ',')) {
    if (std::find(order.begin(), order.end(), word) != order.end()) {
      return fail(ErrorCode::kUsage, "the key type '{}' stands twice in the decryption order", escape_for_message(word))
          .hint("name each of age, pgp, kms, gcp_kms, hckms, azure_kv and hc_vault at most once")
          .exit(ExitStatus::kDuplicateKeyType);
    }
    order.emplace_back(word);
  }
  return order;
}

namespace {

// keyservice-shamir.md 6.2: stably sorted by the position of the type in the order; types not listed come last.
std::vector<const KeyEntry*> in_order(const KeyGroup& group, const DecryptionOrder& order) {
  std::vector<const KeyEntry*> entries;
  for (const KeyEntry& entry : group) entries.push_back(&entry);
  std::stable_sort(entries.begin(), entries.end(), [&](const KeyEntry* a, const KeyEntry* b) {
    const auto rank = [&](const KeyEntry* e) {
      return std::find(order.begin(), order.end(), e->source) - order.begin();
    };
    return rank(a) < rank(b);
  });
  return entries;
}

Result<SecureBytes> unwrap_entry(const KeyEntry& entry, Services& services) {
  const KeySourceType* source = find_key_source(entry.source);
  if (source == nullptr) {
    return fail(ErrorCode::kUnsupported, "{} keys are not supported yet", entry.source)
        .hint("decrypt with another key of the file, or with SOPS");
  }
  const auto key = TRY(source->from_metadata(entry.fields));
  return TRY(key->unwrap(entry.fields, services));
}

// The names of a key in reports, even of one whose source we do not have (cli.md 3.7).
std::string entry_name(const KeyEntry& entry) {
  for (std::string_view field : {"recipient", "fp", "arn", "resource_id", "key_id", "name", "key_name"}) {
    const std::string_view text = field_text(entry.fields, field);
    if (!text.empty()) return format("{} {}", entry.source, escape_for_message(text));
  }
  return entry.source;
}

// The part of one group; `accept` decides whether a recovered secret is what it should be. If it accepts none, the
// first that could be a data key at all is given back nevertheless: then not the keys but the file is damaged, and what
// is read next says how (a changed MAC ends with 51, as in SOPS, and not with 128).
Result<SecureBytes> recover_part(const KeyGroup& group, const DecryptionOrder& order, Services& services,
                                 const std::function<Result<void>(const SecureBytes&)>& accept) {
  Error all;
  all.code = ErrorCode::kUnavailable;
  std::optional<SecureBytes> unaccepted;
  for (const KeyEntry* entry : in_order(group, order)) {
    auto secret = unwrap_entry(*entry, services);
    if (secret && secret->empty()) secret = fail(ErrorCode::kMalformed, "the key gave no data");
    if (secret) {
      auto accepted = accept(*secret);
      if (accepted) return std::move(*secret);
      if (!unaccepted && accepted.error().code == ErrorCode::kAuthFailed) unaccepted = std::move(*secret);
      secret = fail(std::move(accepted.error()));
    }
    Error cause = std::move(secret.error());
    cause.context.push_back(entry_name(*entry));
    all.causes.push_back(std::move(cause));
  }
  if (unaccepted) return std::move(*unaccepted);
  all.message = all.causes.empty() ? "the group has no keys" : "no key of the group works";
  return fail(std::move(all));
}

Failure no_data_key(std::vector<Error> causes, std::string message) {
  Error error;
  error.code = ErrorCode::kUnavailable;
  error.message = std::move(message);
  error.causes = std::move(causes);
  error.exit_status = ExitStatus::kNoDataKey;
  return fail(std::move(error));
}

}  // namespace

Result<DataKey> recover_data_key(const Metadata& metadata, const DecryptionOrder& order, const KeyCheck& check,
                                 Services& services) {
  std::vector<Error> causes;
  if (metadata.groups.size() == 1) {
    auto secret = recover_part(metadata.groups[0], order, services, [&](const SecureBytes& bytes) -> Result<void> {
      const DataKey key = TRY(DataKey::from_bytes(bytes.clone()));
      return check(key);
    });
    if (secret) return DataKey::from_bytes(std::move(*secret));
    return no_data_key(std::move(secret.error().causes),
                       "no master key of this file could be used to recover the data key");
  }

  const size_t needed =
      metadata.shamir_threshold > 0 ? static_cast<size_t>(metadata.shamir_threshold) : metadata.groups.size();
  std::vector<SecureBytes> parts;
  for (const KeyGroup& group : metadata.groups) {
    auto part = recover_part(group, order, services, [](const SecureBytes&) -> Result<void> { return {}; });
    if (part) {
      parts.push_back(std::move(*part));
      if (parts.size() >= std::max<size_t>(needed, 2)) break;  // keys.md 1.6
    } else {
      causes.push_back(std::move(part.error()));
    }
  }
  if (parts.size() < needed) {
    return no_data_key(std::move(causes),
                       format("{} of {} key groups are needed to recover the data key, and {} could be used", needed,
                              metadata.groups.size(), parts.size()));
  }
  auto secret = or_exit(combine_shares(parts), ExitStatus::kNoDataKey);
  SecureBytes combined = TRY(in_context(std::move(secret), "putting the data key together"));
  DataKey key = TRY(or_exit(DataKey::from_bytes(std::move(combined)), ExitStatus::kNoDataKey));
  // Whether it is the right one shows in what it opens: parts carry no check of their own (keyservice-shamir.md 6.10).
  return key;
}

Result<std::vector<KeyGroup>> wrap_data_key(const DataKey& key,
                                            std::span<const std::pair<const KeySourceType*, const MasterKey*>> keys,
                                            Services& services) {
  // The wording of SOPS, which scripts compare (cli.md 8.1).
  if (keys.empty()) {
    return fail(ErrorCode::kUsage, "Could not generate data key: [empty key group provided]")
        .hint("name at least one master key, for example with --age or in .sops.yaml");
  }
  KeyGroup group;
  Error all;
  for (const auto& [source, master] : keys) {
    auto fields = master->wrap(key.bytes(), services);
    if (fields) {
      group.push_back({.source = std::string(source->id), .fields = std::move(*fields)});
    } else {
      Error cause = std::move(fields.error());
      cause.context.push_back(format("{} {}", source->id, escape_for_message(master->id())));
      all.causes.push_back(std::move(cause));
    }
  }
  if (!all.causes.empty()) {
    all.code = ErrorCode::kUnavailable;
    all.message =
        format("the data key could not be encrypted with {} of {} master keys", all.causes.size(), keys.size());
    return fail(std::move(all));
  }
  std::vector<KeyGroup> groups;
  groups.push_back(std::move(group));
  return groups;
}

}  // namespace sops
