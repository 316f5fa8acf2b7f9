// SPDX-License-Identifier: MPL-2.0
//
// From the folder of an editor session to a draft: when the session could not end as it should, and when its program
// was killed (editing.md 2.3, 2.5). A session folder holds
//
//   text/NAME     what is edited, under the name of the file, so that the editor knows its syntax
//   swap/         where the editor's swap files are directed to
//   recovered/    swap files that a draft had brought along
//   start         a sealed draft of the text at the beginning: the target and the wrapped keys
//   key           the data key; with `start` it makes a draft without any key service
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "cli/ui.h"
#include "core/draft.h"
#include "sys/commands.h"
#include "sys/services.h"

namespace sops {

/// What every draft of a session has in common. Borrowed.
struct SessionOrigin {
  std::string target;
  std::string base_sha256;  // as Draft
  bool keys_shown = false;
  const Metadata& keys;
  const DataKey& key;
};

/// What an editor has left in its folder.
struct EditorRemains {
  bool has_text = false;         // the edited file is there
  SecureBytes text;              // its content
  SecureBytes typed;             // the newest whole text: `text`, or what the editor saved when it was ended
  std::vector<SwapFile> others;  // every other file
  bool has_swap_files = false;   // there are swap or auto-save files among them
};

/// Fills a new session folder; `base` is the text that a result is compared with, `text` what the editor is given.
/// Errors: kIo, kDenied (exit status 3).
Result<void> fill_session(SessionFolder& folder, const SessionOrigin& origin, const SecureBytes& base,
                          const SecureBytes& text, Services& services);

/// The path of the edited file and of the folder for swap files.
std::string session_text(const SessionFolder& folder, const std::string& target);
std::string session_swap(const SessionFolder& folder);

/// Errors: kIo, kDenied. Swap files that cannot be read are left out.
Result<EditorRemains> collect_remains(SessionFolder& folder, const std::string& target);

/// Makes a draft of what is there, and tells the person where it lies. Where it can be stored nowhere the folder stays.
void keep_draft(SessionFolder& folder, const SessionOrigin& origin, EditorRemains remains, std::string_view reason,
                Services& services, Ui& ui);

/// Turns the folders of killed sessions into drafts. Every command begins with it, so it must cost nothing where there
/// are none.
void rescue_abandoned_sessions(Services& services, Ui& ui);

}  // namespace sops
