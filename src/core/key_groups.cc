// SPDX-License-Identifier: MPL-2.0
#include "core/key_groups.h"

#include <algorithm>
#include <atomic>
#include <thread>

#include "base/parallel.h"
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
  const auto key = TRY(master_key_of(entry));
  return TRY(key->unwrap(entry.fields, {}, services));
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

Result<std::unique_ptr<MasterKey>> master_key_of(const KeyEntry& entry) {
  const KeySourceType* source = find_key_source(entry.source);
  if (source == nullptr) {
    return fail(ErrorCode::kUnsupported, "{} keys are not supported yet", entry.source)
        .hint("use another key of the file, or SOPS");
  }
  return source->from_metadata(entry.fields);
}

std::string key_id(const KeyEntry& entry) {
  if (const auto key = master_key_of(entry)) return (*key)->id();
  const auto text = [&](std::string_view name) { return std::string(field_text(entry.fields, name)); };
  if (entry.source == "age") return text("recipient");
  if (entry.source == "pgp") return text("fp");
  if (entry.source == "gcp_kms") return text("resource_id");
  if (entry.source == "hckms") return text("key_id");
  if (entry.source == "azure_kv") return format("{}/keys/{}/{}", text("vault_url"), text("name"), text("version"));
  if (entry.source == "hc_vault") {
    return format("{}/v1/{}/keys/{}", text("vault_address"), text("engine_path"), text("key_name"));
  }
  return entry.source;
}

Result<DataKey> recover_data_key(const Metadata& metadata, const DecryptionOrder& order, const KeyCheck& check,
                                 Services& services) {
  RecoveredKey recovered = TRY(recover_shares(metadata, order, check, services));
  return std::move(recovered.key);
}

Result<RecoveredKey> recover_shares(const Metadata& metadata, const DecryptionOrder& order, const KeyCheck& check,
                                    Services& services) {
  std::vector<Error> causes;
  if (metadata.groups.size() == 1) {
    auto secret = recover_part(metadata.groups[0], order, services, [&](const SecureBytes& bytes) -> Result<void> {
      const DataKey key = TRY(DataKey::from_bytes(bytes.clone()));
      return check(key);
    });
    if (!secret) {
      return no_data_key(std::move(secret.error().causes),
                         "no master key of this file could be used to recover the data key");
    }
    DataKey key = TRY(DataKey::from_bytes(std::move(*secret)));
    return RecoveredKey{.key = std::move(key), .shares = {}};
  }

  const size_t needed =
      metadata.shamir_threshold > 0 ? static_cast<size_t>(metadata.shamir_threshold) : metadata.groups.size();
  std::vector<std::optional<SecureBytes>> shares(metadata.groups.size());
  std::vector<SecureBytes> parts;
  for (size_t i = 0; i < shares.size(); ++i) {
    auto part =
        recover_part(metadata.groups[i], order, services, [](const SecureBytes&) -> Result<void> { return {}; });
    if (part) {
      parts.push_back(part->clone());
      shares[i] = std::move(*part);
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
  return RecoveredKey{.key = std::move(key), .shares = std::move(shares)};
}

namespace {

// Runs `work` for every index, in as many threads as there are indexes, up to a limit: they wait for answers.
void all_at_once(const std::vector<size_t>& indexes, const std::function<void(size_t)>& work) {
  constexpr size_t kMostThreads = 32;
  if (indexes.size() < 2) {
    for (size_t index : indexes) work(index);
    return;
  }
  std::atomic<size_t> next = 0;
  std::vector<std::jthread> threads;
  for (size_t i = 0; i < std::min(indexes.size(), kMostThreads); ++i) {
    threads.push_back(start_thread([&] {
      for (size_t at = next++; at < indexes.size(); at = next++) work(indexes[at]);
    }));
  }
}

}  // namespace

Result<std::vector<KeyEntry>> wrap_for_keys(std::span<const WrapRequest> requests, Services& services) {
  std::vector<std::optional<Result<FieldMap>>> answers(requests.size());
  const auto ask = [&](size_t i) { answers[i] = requests[i].key.second->wrap(*requests[i].secret, services); };
  std::vector<size_t> remote;
  for (size_t i = 0; i < requests.size(); ++i) {
    if (requests[i].key.first->is_remote) {
      remote.push_back(i);
    } else {
      ask(i);
    }
  }
  all_at_once(remote, ask);

  std::vector<KeyEntry> entries;
  Error all;
  for (size_t i = 0; i < requests.size(); ++i) {
    const auto& [source, master] = requests[i].key;
    Result<FieldMap>& fields = *answers[i];
    if (fields) {
      entries.push_back({.source = std::string(source->id), .fields = std::move(*fields)});
    } else {
      Error cause = std::move(fields.error());
      cause.context.push_back(format("{} {}", source->id, escape_for_message(master->id())));
      all.causes.push_back(std::move(cause));
    }
  }
  if (!all.causes.empty()) {
    all.code = ErrorCode::kUnavailable;
    all.message =
        format("the data key could not be encrypted with {} of {} master keys", all.causes.size(), requests.size());
    return fail(std::move(all));
  }
  return entries;
}

Result<WrappedKey> wrap_data_key(const DataKey& key, std::span<const MasterKeyList> groups, int64_t threshold,
                                 Services& services) {
  // The wording of SOPS, which scripts compare (cli.md 8.1).
  if (groups.empty() || std::ranges::any_of(groups, &MasterKeyList::empty)) {
    return fail(ErrorCode::kUsage, "Could not generate data key: [empty key group provided]")
        .hint(groups.size() > 1 ? "every key group needs at least one master key"
                                : "name at least one master key, for example with --age or in .sops.yaml");
  }
  WrappedKey wrapped{.shamir_threshold = threshold};
  std::vector<SecureBytes> shares;
  if (groups.size() > 1) {
    if (threshold == 0) wrapped.shamir_threshold = static_cast<int64_t>(groups.size());
    const auto needed = static_cast<size_t>(std::max<int64_t>(wrapped.shamir_threshold, 0));
    auto split = in_context(split_secret(key.bytes(), groups.size(), needed, services.random),
                            "could not split the data key into parts for Shamir");
    if (!split && split.error().hint.empty()) {
      return fail(std::move(split.error())
                      .with_hint(format("with {} key groups, shamir_threshold is a number from 2 to {}, or not given",
                                        groups.size(), groups.size())));
    }
    shares = TRY(std::move(split));
  }

  std::vector<WrapRequest> requests;
  for (size_t i = 0; i < groups.size(); ++i) {
    for (const MasterKeyRef& master : groups[i]) {
      requests.push_back({.key = master, .secret = shares.empty() ? &key.bytes() : &shares[i]});
    }
  }
  std::vector<KeyEntry> entries = TRY(wrap_for_keys(requests, services));
  size_t next = 0;
  for (const MasterKeyList& group : groups) {
    KeyGroup& target = wrapped.groups.emplace_back();
    for (size_t i = 0; i < group.size(); ++i) target.push_back(std::move(entries[next++]));
  }
  return wrapped;
}

}  // namespace sops
