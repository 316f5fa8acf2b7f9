// SPDX-License-Identifier: MPL-2.0
#include "core/key_groups.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <thread>

#include "base/parallel.h"
#include "core/shamir.h"

namespace sops {

Result<DecryptionOrder> parse_decryption_order(std::string_view text) {
  if (text.empty()) return DecryptionOrder();
  DecryptionOrder order{.types = {}, .is_explicit = true};
  for (std::string_view word : split(text, ',')) {
    if (std::ranges::find(order.types, word) != order.types.end()) {
      return fail(ErrorCode::kUsage, "the key type '{}' stands twice in the decryption order", escape_for_message(word))
          .hint("name each of age, pgp, kms, gcp_kms, hckms, azure_kv and hc_vault at most once")
          .exit(ExitStatus::kDuplicateKeyType);
    }
    order.types.emplace_back(word);
  }
  return order;
}

namespace {

Failure no_data_key(std::vector<Error> causes, std::string message) {
  Error error;
  error.code = ErrorCode::kUnavailable;
  error.message = std::move(message);
  error.causes = std::move(causes);
  error.exit_status = ExitStatus::kNoDataKey;
  return fail(std::move(error));
}

}  // namespace

Result<DataKey> recover_data_key(const Metadata& metadata, const RecoverOptions& options, const KeyCheck& check,
                                 Services& services) {
  RecoveredKey recovered = TRY(recover_shares(metadata, options, check, services));
  return std::move(recovered.key);
}

namespace {

// keys-aws.md 1.8. A version that is none is checked elsewhere.
bool is_before_3_3(std::string_view version) {
  const auto numbers = version_numbers(version);
  return version.starts_with("1.") || (numbers && *numbers < std::array<uint64_t, 3>{3, 3, 0});
}

// With one group each key gives the data key itself. If `check` accepts none, the first that could be one at all is
// taken nevertheless: then not the keys but the file is damaged, and what is read next says how (a changed MAC ends
// with 51, as in SOPS, and not with 128).
Result<RecoveredKey> recover_whole(const Metadata& metadata, AttemptRules rules, const KeyCheck& check,
                                   Services& services) {
  rules.accept = [&](const SecureBytes& bytes) -> Result<void> {
    const DataKey key = TRY(DataKey::from_bytes(bytes.clone()));
    return check(key);
  };
  std::vector<GroupAttempts> attempts = TRY(attempt_keys(metadata.groups, rules, services));
  std::optional<SecureBytes>& secret = attempts[0].part ? attempts[0].part : attempts[0].unaccepted;
  if (!secret) {
    return no_data_key(std::move(attempts[0].failures),
                       "no master key of this file could be used to recover the data key");
  }
  DataKey key = TRY(DataKey::from_bytes(std::move(*secret)));
  return RecoveredKey{.key = std::move(key), .shares = {}};
}

}  // namespace

Result<RecoveredKey> recover_shares(const Metadata& metadata, const RecoverOptions& options, const KeyCheck& check,
                                    Services& services) {
  AttemptRules rules{.order = options.order, .labels = options.labels};
  rules.is_before_3_3 = is_before_3_3(metadata.version);
  if (metadata.groups.size() == 1) return recover_whole(metadata, std::move(rules), check, services);

  const size_t needed =
      metadata.shamir_threshold > 0 ? static_cast<size_t>(metadata.shamir_threshold) : metadata.groups.size();
  rules.needed = std::max<size_t>(needed, 2);
  std::vector<GroupAttempts> attempts = TRY(attempt_keys(metadata.groups, rules, services));
  std::vector<std::optional<SecureBytes>> shares(metadata.groups.size());
  std::vector<SecureBytes> parts;
  std::vector<Error> causes;
  for (size_t i = 0; i < shares.size(); ++i) {
    if (attempts[i].part) {
      parts.push_back(attempts[i].part->clone());
      shares[i] = std::move(attempts[i].part);
      continue;
    }
    Error error;
    error.code = ErrorCode::kUnavailable;
    error.message = attempts[i].failures.empty() ? "the group has no keys" : "no key of the group works";
    error.causes = std::move(attempts[i].failures);
    causes.push_back(std::move(error));
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

// Runs `work` for every index of `remote`, in as many threads as there are, up to a limit: they wait for answers.
// Meanwhile it runs for those of `local`, in order.
void all_at_once(const std::vector<size_t>& remote, const std::vector<size_t>& local,
                 const std::function<void(size_t)>& work) {
  constexpr size_t kMostThreads = 32;
  std::atomic<size_t> next = 0;
  std::vector<std::jthread> threads;
  for (size_t i = 0; i < std::min(remote.size(), kMostThreads); ++i) {
    threads.push_back(start_thread([&] {
      for (size_t at = next++; at < remote.size(); at = next++) work(remote[at]);
    }));
  }
  for (size_t index : local) work(index);
}

}  // namespace

Result<std::vector<KeyEntry>> wrap_for_keys(std::span<const WrapRequest> requests, Services& services) {
  std::vector<std::optional<Result<FieldMap>>> answers(requests.size());
  const auto ask = [&](size_t i) { answers[i] = requests[i].key.second->wrap(*requests[i].secret, services); };
  std::vector<size_t> remote;
  std::vector<size_t> local;
  for (size_t i = 0; i < requests.size(); ++i) (requests[i].key.first->is_remote ? remote : local).push_back(i);
  all_at_once(remote, local, ask);

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
