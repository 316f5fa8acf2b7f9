// SPDX-License-Identifier: MPL-2.0
//
// Which editor is started, and with which words (cli.md 4.4, editing.md 2.2).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "sys/services.h"

namespace sops {

/// Editors whose swap and auto-save files can be directed to a folder.
enum class EditorKind { kVim, kNano, kEmacs, kOther };

struct Editor {
  std::vector<std::string> words;  // the program and the user's arguments
  EditorKind kind = EditorKind::kOther;
};

/// $SOPS_EDITOR, else $EDITOR, split as a shell would without one; where neither is set, the first of vim, nano and vi
/// that is in PATH. Errors: exit status 201.
Result<Editor> choose_editor(Services& services);

/// What an editor works on. Paths are absolute.
struct EditorFiles {
  std::string text;       // the file to edit
  std::string swap;       // the folder for swap, auto-save and backup files
  std::string recovered;  // a swap file of an earlier session to begin from; "" for none
};

/// The words that start the editor on files.text, its swap files directed into files.swap. `files.recovered` counts for
/// vim only. REQUIRES: files.swap and files.recovered need no quoting in an editor's settings.
std::vector<std::string> editor_words(const Editor& editor, const EditorFiles& files);

/// True for a file that only an editor leaves that could not end as it wanted: a swap or auto-save file. Backups are
/// none.
bool is_swap_file(std::string_view name);

/// True for an auto-save file that holds the whole text of `name` as it was when the editor ended: nano's
/// NAME.save and Emacs' #NAME#.
bool is_saved_text(std::string_view path, std::string_view name);

}  // namespace sops
