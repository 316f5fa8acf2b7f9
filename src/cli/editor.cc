// SPDX-License-Identifier: MPL-2.0
#include "cli/editor.h"

#include <algorithm>
#include <array>

#include "base/path.h"
#include "base/shell_words.h"
#include "sys/commands.h"

namespace sops {

namespace {

constexpr std::array<std::string_view, 3> kUsual = {"vim", "nano", "vi"};

Failure no_editor(std::string message) {
  return fail(ErrorCode::kNotFound, "{}", message)
      .hint("name one in SOPS_EDITOR or EDITOR, for example EDITOR=vim")
      .exit(ExitStatus::kEditorFailed);
}

// The program that is really run tells more than its name: vi is vim on most machines.
EditorKind kind_of(std::string_view name, std::string_view real_name) {
  if (name == "emacs" || (real_name.starts_with("emacs") && !real_name.starts_with("emacsclient")))
    return name.starts_with("emacsclient") ? EditorKind::kOther : EditorKind::kEmacs;
  if (name == "nano" || real_name == "nano") return EditorKind::kNano;
  for (std::string_view vim : {"vim", "nvim", "gvim"}) {
    if (name == vim || real_name.starts_with(vim)) return EditorKind::kVim;
  }
  return EditorKind::kOther;
}

}  // namespace

Result<Editor> choose_editor(Services& services) {
  Editor editor;
  for (const char* variable : {"SOPS_EDITOR", "EDITOR"}) {
    const std::string command = services.environment.get(variable).value_or("");
    if (command.empty()) continue;
    editor.words = TRY(or_exit(in_context(split_shell_words(command), "{}", variable), ExitStatus::kEditorFailed));
    if (editor.words.empty() || editor.words[0].empty()) return no_editor(format("{} names no editor", variable));
    break;
  }
  if (editor.words.empty()) {
    const auto found = std::ranges::find_if(
        kUsual, [&](std::string_view name) { return services.commands.find_program(std::string(name)).has_value(); });
    if (found == kUsual.end()) return no_editor("there is no editor: neither vim nor nano nor vi is in PATH");
    editor.words = {std::string(*found)};
  }
  const auto program = services.commands.find_program(editor.words[0]);
  if (!program) return no_editor(program.error().message);
  editor.kind = kind_of(basename(editor.words[0]), basename(program->real_path));
  return editor;
}

std::vector<std::string> editor_words(const Editor& editor, const EditorFiles& files) {
  std::vector<std::string> ours;
  switch (editor.kind) {
    case EditorKind::kVim:
      // vim warns that the text is younger than the swap file, as it must be: hence silent!. No swap file, history or
      // undo file before the settings are made; those of the user's vimrc come before -c.
      ours = {"-n", "-i", "NONE"};
      if (!files.recovered.empty()) ours.insert(ours.end(), {"-c", "silent! recover " + files.recovered});
      ours.insert(ours.end(),
                  {"-c", format("set directory={0}// backupdir={0} noundofile updatecount=20 swapfile", files.swap)});
      break;
    case EditorKind::kNano:
      ours = {"--backupdir=" + files.swap};
      break;
    case EditorKind::kEmacs:
      ours = {"--eval", format(R"((setq backup-directory-alist '(("." . "{0}/")) )"
                               R"(auto-save-file-name-transforms '(("\\`.*/\\([^/]*\\)\\'" "{0}/\\1" nil)) )"
                               R"(auto-save-list-file-prefix "{0}/.saves-" auto-save-default t auto-save-interval 20 )"
                               R"(auto-save-timeout 5 create-lockfiles nil))",
                               files.swap)};
      break;
    case EditorKind::kOther:
      break;
  }
  std::vector<std::string> words = editor.words;
  // Behind the user's own arguments, so that ours count; but words behind -- are no flags.
  const auto dashes = std::ranges::find(words, "--");
  words.insert(dashes, ours.begin(), ours.end());
  words.push_back(files.text);
  return words;
}

bool is_swap_file(std::string_view path) {
  const std::string name = basename(path);
  const size_t dot = name.rfind('.');
  const std::string_view suffix = dot == std::string::npos ? "" : std::string_view(name).substr(dot);
  // vim counts downwards: .swp, .swo … .saa
  if (suffix.size() == 4 && suffix[1] == 's' && suffix[2] >= 'a' && suffix[2] <= 'z' && suffix[3] >= 'a' &&
      suffix[3] <= 'z')
    return true;
  return name.ends_with(".save") || name.find(".save.") != std::string::npos ||
         (name.size() > 2 && name.starts_with('#') && name.ends_with('#'));
}

bool is_saved_text(std::string_view path, std::string_view name) {
  const std::string found = basename(path);
  return found == format("{}.save", name) || found == format("#{}#", name);
}

}  // namespace sops
