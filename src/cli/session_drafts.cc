// SPDX-License-Identifier: MPL-2.0
#include "cli/session_drafts.h"

#include "base/path.h"
#include "base/rfc3339.h"
#include "cli/editor.h"

namespace sops {

namespace {

constexpr std::string_view kKilled = "sops was killed";

Draft new_draft(const SessionOrigin& origin, std::string_view reason, Services& services) {
  return Draft{.target = origin.target,
               .base_sha256 = origin.base_sha256,
               .made = utc_seconds(services.clock.now()),
               .reason = std::string(reason),
               .keys_shown = origin.keys_shown,
               .text = {},
               .swap_files = {}};
}

Result<std::string> seal_and_store(const SessionOrigin& origin, EditorRemains remains, std::string_view reason,
                                   Services& services) {
  Draft draft = new_draft(origin, reason, services);
  draft.text = std::move(remains.typed);
  draft.swap_files = std::move(remains.others);
  const SecureBytes sealed = TRY(seal_draft(draft, origin.keys, origin.key, services));
  return store_draft(origin.target, sealed, services);
}

// nullopt: the session was killed before there was anything to edit.
Result<std::optional<OpenedDraft>> read_start(SessionFolder& folder, Services& services) {
  auto start = folder.read("start");
  auto key_bytes = folder.read("key");
  if (!start || !key_bytes) return std::optional<OpenedDraft>();
  const DataKey key = TRY(DataKey::from_bytes(std::move(*key_bytes)));
  OpenedDraft opened = TRY(open_draft(start->expose_text(), &key, {}, services));
  return std::optional<OpenedDraft>(std::move(opened));
}

Result<void> rescue(SessionFolder& folder, Services& services, Ui& ui) {
  const std::optional<OpenedDraft> start = TRY(read_start(folder, services));
  if (!start) return {};
  EditorRemains remains = TRY(collect_remains(folder, start->draft.target));
  const bool is_typed =
      remains.has_swap_files || (remains.has_text && remains.typed.expose_text() != start->draft.text.expose_text());
  if (!is_typed) return {};
  const SessionOrigin origin{.target = start->draft.target,
                             .base_sha256 = start->draft.base_sha256,
                             .keys_shown = start->draft.keys_shown,
                             .keys = start->keys,
                             .key = start->key};
  ui.note(format("{}: an editor session was cut short", escape_for_message(origin.target, 4096)));
  keep_draft(folder, origin, std::move(remains), kKilled, services, ui);
  return {};
}

}  // namespace

std::string session_text(const SessionFolder& folder, const std::string& target) {
  return format("{}/text/{}", folder.path(), basename(target));
}

std::string session_swap(const SessionFolder& folder) { return folder.path() + "/swap"; }

Result<void> fill_session(SessionFolder& folder, const SessionOrigin& origin, const SecureBytes& base,
                          const SecureBytes& text, Services& services) {
  Draft start = new_draft(origin, kKilled, services);
  start.text = base.clone();
  const SecureBytes sealed = TRY(seal_draft(start, origin.keys, origin.key, services));
  const auto fill = [&]() -> Result<void> {
    TRY(folder.make_folder("swap"));
    TRY(folder.write("text/" + basename(origin.target), text.expose()));
    TRY(folder.write("key", origin.key.bytes().expose()));
    return folder.write("start", sealed.expose());
  };
  return or_exit(fill(), ExitStatus::kCannotWriteOutput);
}

Result<EditorRemains> collect_remains(SessionFolder& folder, const std::string& target) {
  EditorRemains remains;
  const std::string name = basename(target);
  auto text = folder.read("text/" + name);
  if (text) {
    remains.has_text = true;
    remains.typed = text->clone();
    remains.text = std::move(*text);
  } else if (text.error().code != ErrorCode::kNotFound) {
    return fail(std::move(text.error()));
  }
  for (const std::string_view place : {"text", "swap"}) {
    for (const std::string& path : folder.list(std::string(place))) {
      if (place == "text" && path == name) continue;
      auto content = folder.read(format("{}/{}", place, path));
      if (!content) continue;
      remains.has_swap_files = remains.has_swap_files || is_swap_file(path);
      if (is_saved_text(path, name)) remains.typed = content->clone();
      remains.others.push_back({.name = path, .content = std::move(*content)});
    }
  }
  return remains;
}

void keep_draft(SessionFolder& folder, const SessionOrigin& origin, EditorRemains remains, std::string_view reason,
                Services& services, Ui& ui) {
  const auto path = seal_and_store(origin, std::move(remains), reason, services);
  if (!path) {
    folder.keep();
    ui.error(path.error());
    ui.warning(
        format("what was typed lies, readable for you and root, in {}; the next run of sops tries again to make "
               "an encrypted draft of it",
               folder.path()));
    return;
  }
  const std::string shown = escape_for_message(*path, 4096);
  ui.note(format("what was typed is kept, encrypted, as a draft: {}", shown));
  ui.note(format("sops edit {} offers it; sops decrypt {} prints it", escape_for_message(origin.target, 4096), shown));
}

void rescue_abandoned_sessions(Services& services, Ui& ui) {
  for (const std::unique_ptr<SessionFolder>& folder : services.commands.abandoned_sessions()) {
    if (const auto done = rescue(*folder, services, ui); !done) {
      folder->keep();
      ui.error(done.error());
      ui.warning(
          format("the remains of an editor session in {} could not be made a draft and stay there", folder->path()));
    }
  }
}

}  // namespace sops
