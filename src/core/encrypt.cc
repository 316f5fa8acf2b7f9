// SPDX-License-Identifier: MPL-2.0
//
// Encryption, read aloud:
//   1. scan the plain text; refuse what is encrypted already
//   2. reserve room for the metadata, so that comments are judged where SOPS will find them (yaml.md 1.6)
//   3. walk it: which leaves are selected, and the MAC over all of them
//   4. make the data key and wrap it for every master key
//   5. put a ciphertext in place of every selected leaf; expand aliases that would show or lose a secret
//   6. scan the result as SOPS will, compare with the plan
//   7. note as layout hints what decrypting would spell differently, until it gives back the original byte for byte
//   8. write the metadata
#include "core/encrypt.h"

#include <algorithm>
#include <array>
#include <functional>

#include "base/parallel.h"
#include "base/rfc3339.h"
#include "core/ciphertext.h"
#include "core/decrypt.h"
#include "core/encrypt_steps.h"
#include "core/mac.h"
#include "core/walk.h"

namespace sops {

namespace {

// --- 1 to 3: the plan

Result<void> check_something_is_selected(const Plan& plan, const Selector& selector, const EncryptOptions& options) {
  if (options.allow_plaintext || options.selection.count() == 0) return {};
  bool any_value = false;
  for (size_t i = 0; i < plan.walk.leaves.size(); ++i) {
    if (plan.encrypt[i]) return {};
    any_value = any_value || (!plan.walk.leaves[i].is_comment && can_be_encrypted(plan.document, plan.walk.leaves[i]));
  }
  if (!any_value) return {};
  return fail(ErrorCode::kUsage, "{} selects nothing: every value would be in the clear", selector.describe())
      .hint("correct the rule, or say --allow-plaintext if the file is meant to be readable")
      .exit(ExitStatus::kGeneric);
}

// Steps 1 and 2. Only comments can end up elsewhere because of the metadata block (yaml.md 1.6), so a file without any
// is scanned once.
Result<Plan> scan_with_room(std::string_view text, const FormatType& format, const EncryptOptions& options) {
  Plan plan{.format = format};
  plan.document = TRY(or_exit(format.scan(text, ScanMode::kPlain), ExitStatus::kCannotReadInput));
  TRY(check_not_encrypted(plan.document));
  plan.room = TRY(format.reserve_metadata(plan.document, options.style));
  const auto is_comment = [](const Node& node) { return node.kind == NodeKind::kComment; };
  if (std::any_of(plan.document.nodes.begin(), plan.document.nodes.end(), is_comment)) {
    plan.text = TRY(plan.room.apply(text));
    plan.document = Document();  // gives its memory back before the next one needs room
    plan.document = TRY(format.scan(plan.text.expose_text(), ScanMode::kPlain));
    plan.room = EditList();
  }
  return plan;
}

Result<Plan> make_plan(std::string_view text, const FormatType& format, const Selector& selector,
                       const EncryptOptions& options) {
  Plan plan = TRY(scan_with_room(text, format, options));
  TRY(select_leaves(plan, selector));
  TRY(check_something_is_selected(plan, selector, options));
  TRY(check_aliases(plan, options.allow_plaintext));
  return plan;
}

// --- 4 to 8

Metadata new_metadata(const EncryptOptions& options, const SelectionSettings& selection, Services& services) {
  Metadata metadata;
  metadata.lastmodified = utc_seconds(services.clock.now());
  metadata.version = kFileVersion;
  metadata.selection = selection;
  metadata.mac_only_encrypted = options.mac_only_encrypted;
  return metadata;
}

// Gives the data key of a new file and adds its wrapped copies to the metadata.
using KeyMaker = std::function<Result<DataKey>(Metadata&)>;

// A format whose encrypted form is another text around one value: the file as a whole (format.md 6C).
Result<EncryptResult> encrypt_wrapped(std::string_view text, const FormatType& format, const EncryptOptions& options,
                                      const KeyMaker& make_key, Services& services) {
  // The file may be an encrypted one under a name that does not say so; SOPS encrypts it once more.
  if (const auto document = format.scan(text, ScanMode::kEncrypted); document) {
    if (const auto tree = format.read_metadata(*document); tree && parse_metadata(*tree)) {
      return fail(ErrorCode::kUsage, "the file is already encrypted: it has a top-level entry 'sops'")
          .hint("name its format with --input-type, or use sops edit or sops set to change it")
          .exit(ExitStatus::kAlreadyEncrypted);
    }
  }
  Metadata metadata = new_metadata({}, {}, services);
  const DataKey key = TRY(make_key(metadata));

  // The text around the ciphertext, with a stand-in for it and a MAC of the right length: so a large ciphertext is
  // written where it stays.
  constexpr std::string_view kStandIn = "ENC[]";
  constexpr size_t kMacLength = 128;
  metadata.mac = std::string(ciphertext_size(kMacLength, "str"), 'x');
  SecureArena arena;
  const SecureBytes outline = TRY(format.wrap(kStandIn, metadata_tree(metadata, arena), options.style));
  const size_t at = outline.expose_text().find(kStandIn);
  SOPS_CHECK(at != std::string_view::npos, "wrap() writes it first, and nothing in it needs an escape");
  const size_t length = text.empty() ? 0 : ciphertext_size(text.size(), "str");
  EncryptResult result;
  result.text = SecureBytes(outline.size() - kStandIn.size() + length);
  const std::span<uint8_t> place = result.text.expose_mutable().subspan(at, length);

  // The MAC and the ciphertext do not need each other, and of a large file each takes as long.
  ValueCipher cipher = TRY(ValueCipher::create(key));
  std::array<uint8_t, kNonceSize> nonce;
  services.random.fill(nonce);
  std::string mac_text;
  const size_t grain = text.size() < (size_t{1} << 20) ? 2 : 1;  // a thread costs more than a small file
  parallel_for(2, grain, [&](size_t begin, size_t end) {
    for (size_t part = begin; part < end; ++part) {
      if (part == 0) {
        Mac mac(false);
        mac.add(text, true);
        mac_text = mac.finish();
      } else if (!text.empty()) {
        cipher.encrypt(text, "str", "data:", nonce, {reinterpret_cast<char*>(place.data()), place.size()});
      }
    }
  });
  metadata.mac = TRY(encrypt_entry(key, mac_text, metadata.lastmodified, services));
  const SecureBytes around = TRY(format.wrap(kStandIn, metadata_tree(metadata, arena), options.style));
  SOPS_CHECK(around.size() == outline.size(), "the MAC is as long as its stand-in");
  const auto put = [&](std::span<const uint8_t> piece, size_t to) {
    std::copy(piece.begin(), piece.end(), result.text.expose_mutable().begin() + static_cast<ptrdiff_t>(to));
  };
  put(around.expose().first(at), 0);
  put(around.expose().subspan(at + kStandIn.size()), at + length);
  return result;
}

Result<EncryptResult> encrypt_with(std::string_view text, const FormatType& format, const EncryptOptions& options,
                                   const KeyMaker& make_key, Services& services) {
  if (format.wraps) return encrypt_wrapped(text, format, options, make_key, services);

  const SelectionSettings selection =
      options.selection.count() == 0 ? SelectionSettings::standard() : options.selection;
  const Selector selector = TRY(Selector::compile(selection, Selector::Strictness::kStrict));

  Plan plan = TRY(make_plan(text, format, selector, options));

  Metadata metadata = new_metadata(options, selection, services);
  const DataKey key = TRY(make_key(metadata));
  metadata.mac =
      TRY(encrypt_entry(key, compute_mac(plan, options.mac_only_encrypted), metadata.lastmodified, services));

  TRY(encrypt_leaves(plan, key, services));
  TRY(renew_matching_comments(plan, selector, key, services));
  Encrypted encrypted = TRY(build_until_stable(plan, selector, key, services));
  const SecureBytes layout = TRY(find_layout(plan, encrypted, text));
  if (!layout.empty()) {
    metadata.layout = TRY(encrypt_entry(key, layout.expose_text(), "sops:layout:" + metadata.lastmodified, services));
  }

  SecureArena arena;
  const EditList block = TRY(format.write_metadata(encrypted.document, metadata_tree(metadata, arena),
                                                   first_branch_tree(metadata), options.style));
  EncryptResult result;
  result.warnings = std::move(plan.document.warnings);
  // What a large file took is given back before the last copy of its text is made.
  plan.storage.clear();
  plan.document = Document();
  encrypted.document.nodes = {};
  result.text = TRY(block.apply(encrypted.text.expose_text()));
  return result;
}

}  // namespace

Result<EncryptResult> encrypt_text(std::string_view text, const FormatType& format, const EncryptOptions& options,
                                   std::span<const MasterKeyList> groups, Services& services) {
  const KeyMaker make_key = [&](Metadata& metadata) -> Result<DataKey> {
    DataKey key = DataKey::generate(services.random);
    WrappedKey wrapped = TRY(wrap_data_key(key, groups, options.shamir_threshold, services));
    metadata.groups = std::move(wrapped.groups);
    metadata.shamir_threshold = wrapped.shamir_threshold;
    return key;
  };
  return encrypt_with(text, format, options, make_key, services);
}

Result<EncryptResult> encrypt_text(std::string_view text, const FormatType& format, const EncryptOptions& options,
                                   const DataKey& key, const Metadata& keys, Services& services) {
  const KeyMaker make_key = [&](Metadata& metadata) -> Result<DataKey> {
    metadata.groups = keys.groups;
    metadata.shamir_threshold = keys.shamir_threshold;
    return key.clone();
  };
  return encrypt_with(text, format, options, make_key, services);
}

}  // namespace sops
