// SPDX-License-Identifier: MPL-2.0
#include "core/draft.h"

#include <array>

#include "base/codec.h"
#include "base/path.h"
#include "base/rfc3339.h"
#include "core/ciphertext.h"
#include "core/decrypt.h"
#include "core/encrypt.h"
#include "core/mac.h"
#include "crypto/hash.h"

namespace sops {

namespace {

constexpr size_t kHashDigits = 32;
constexpr int kMostDrafts = 20;  // of one target in one place

// Encrypts leaf after leaf, as a walk over the finished file will meet them.
class Sealer {
 public:
  Sealer(ValueCipher cipher, Random& random) : cipher_(std::move(cipher)), random_(random) {}

  // format.md 2.12: an empty text stays empty.
  Value seal(std::string_view plaintext, std::string_view path) {
    mac_.add(plaintext, true);
    if (plaintext.empty()) return Value::string("");
    std::array<uint8_t, kNonceSize> nonce;
    random_.fill(nonce);
    const std::span<uint8_t> out = arena_.allocate(ciphertext_size(plaintext.size(), "str"));
    cipher_.encrypt(plaintext, "str", path, nonce, {reinterpret_cast<char*>(out.data()), out.size()});
    return Value::string(as_text(out));
  }

  // The ciphertext of the MAC over all that was sealed.
  std::string mac(std::string_view lastmodified) {
    const std::string digest = mac_.finish();
    std::array<uint8_t, kNonceSize> nonce;
    random_.fill(nonce);
    std::string out(ciphertext_size(digest.size(), "str"), '\0');
    cipher_.encrypt(digest, "str", lastmodified, nonce, out);
    return out;
  }

 private:
  ValueCipher cipher_;
  Random& random_;
  Mac mac_{false};
  SecureArena arena_;
};

std::string_view text_of(const Value& mapping, std::string_view name) {
  const Value* field = mapping.find(name);
  return field != nullptr && field->kind == ValueKind::kScalar ? field->text : std::string_view();
}

// ~/.local/state/sops/drafts; "" where there is no such place.
std::string drafts_folder(Environment& environment) {
  const std::string state = environment.get("XDG_STATE_HOME").value_or("");
  if (state.starts_with('/')) return state + "/sops/drafts";
  const std::string home = environment.get("HOME").value_or("");
  return home.starts_with('/') ? home + "/.local/state/sops/drafts" : "";
}

// Where the draft numbered `number` from 1 would be: below drafts_folder(), and beside the file.
std::array<std::string, 2> draft_places(const std::string& target, int number, Environment& environment) {
  const std::string suffix = number == 1 ? "" : format("-{}", number);
  const std::string folder = drafts_folder(environment);
  return {folder.empty() ? "" : format("{}/{}{}.draft", folder, target_hash(target), suffix),
          format("{}/.{}.sops-draft{}", dirname(target), basename(target), suffix)};
}

}  // namespace

Result<SecureBytes> seal_draft(const Draft& draft, const Metadata& keys, const DataKey& key, Services& services) {
  ValueCipher cipher = TRY(ValueCipher::create(key));
  Sealer sealer(std::move(cipher), services.random);
  Value tree = Value::mapping();
  tree.add("data", sealer.seal(draft.text.expose_text(), "data:"));
  Value& about = tree.add("draft", Value::mapping());
  about.add("target", sealer.seal(draft.target, "draft:target:"));
  if (!draft.base_sha256.empty()) about.add("base_sha256", sealer.seal(draft.base_sha256, "draft:base_sha256:"));
  about.add("made", sealer.seal(draft.made, "draft:made:"));
  about.add("reason", sealer.seal(draft.reason, "draft:reason:"));
  if (draft.keys_shown) about.add("keys_shown", sealer.seal("yes", "draft:keys_shown:"));
  if (!draft.swap_files.empty()) {
    Value& list = tree.add("swap", Value::sequence());
    for (const SwapFile& file : draft.swap_files) {
      Value& item = list.add(Value::mapping());
      item.add("name", sealer.seal(file.name, "swap:name:"));
      item.add("content", sealer.seal(file.content.expose_text(), "swap:content:"));
    }
  }

  Metadata metadata;
  metadata.groups = keys.groups;
  metadata.shamir_threshold = keys.shamir_threshold;
  metadata.lastmodified = utc_seconds(services.clock.now());
  metadata.version = kFileVersion;
  metadata.mac = sealer.mac(metadata.lastmodified);
  SecureArena arena;
  tree.add("sops", metadata_tree(metadata, arena));
  SecureBytes sealed = TRY(find_format("json")->emit(tree, {}));

  // What cannot be opened is no draft.
  const OpenedDraft opened = TRY(open_draft(sealed.expose_text(), &key, {}, services));
  if (opened.draft.text.expose_text() != draft.text.expose_text() ||
      opened.draft.swap_files.size() != draft.swap_files.size()) {
    return fail(ErrorCode::kMalformed, "the draft does not open to what was put into it");
  }
  return sealed;
}

Result<OpenedDraft> open_draft(std::string_view text, const DataKey* key, const DecryptionOrder& order,
                               Services& services) {
  OpenedFile file = TRY(open_file(text, *find_format("binary"), {.order = order, .known_key = key}, services));
  const Value tree = TRY(decrypted_value(file));
  const Value* about = tree.find("draft");
  if (about == nullptr || about->kind != ValueKind::kMapping || text_of(*about, "target").empty())
    return fail(ErrorCode::kMalformed, "the file is no draft of an editor session");
  Draft draft{.target = std::string(text_of(*about, "target")),
              .base_sha256 = std::string(text_of(*about, "base_sha256")),
              .made = std::string(text_of(*about, "made")),
              .reason = std::string(text_of(*about, "reason")),
              .keys_shown = about->find("keys_shown") != nullptr,
              .text = {},
              .swap_files = {}};
  draft.text = TRY(decrypted_text(file));
  if (const Value* list = tree.find("swap"); list != nullptr) {
    for (const Value& item : list->children) {
      draft.swap_files.push_back(
          {.name = std::string(text_of(item, "name")), .content = SecureBytes::copy_of(text_of(item, "content"))});
    }
  }
  return OpenedDraft{.draft = std::move(draft), .keys = std::move(file.metadata), .key = std::move(*file.key)};
}

std::string target_hash(std::string_view target) { return hex_lower(sha256(as_bytes(target))).substr(0, kHashDigits); }

Result<std::string> store_draft(const std::string& target, const SecureBytes& sealed, Services& services) {
  std::optional<Error> why;
  const std::string folder = drafts_folder(services.environment);
  for (const size_t place : {size_t{0}, size_t{1}}) {
    if (place == 0) {
      if (folder.empty()) continue;
      if (auto made = services.files.make_folder(folder); !made) {
        why = std::move(made.error());
        continue;
      }
    }
    for (int number = 1; number <= kMostDrafts; ++number) {
      const std::string path = draft_places(target, number, services.environment)[place];
      auto stored = services.files.replace(path, sealed.expose(),
                                           {.is_private = true, .expected = std::nullopt, .must_be_new = true});
      if (stored) return path;
      if (stored.error().code == ErrorCode::kUnavailable) continue;  // the name is taken
      why = std::move(stored.error());
      break;
    }
  }
  if (why) return fail(std::move(*why));
  return fail(ErrorCode::kUnavailable, "there are {} drafts of {} already", kMostDrafts, escape_for_message(target))
      .hint("sops edit shows them; discard what is no longer needed");
}

std::vector<std::string> find_drafts(const std::string& target, Services& services) {
  std::vector<std::string> found;
  for (int number = kMostDrafts; number >= 1; --number) {
    for (const std::string& path : draft_places(target, number, services.environment)) {
      if (path.empty()) continue;
      const auto info = services.files.info(path);
      if (info && *info && (*info)->kind == FileInfo::Kind::kRegular) found.push_back(path);
    }
  }
  return found;
}

}  // namespace sops
