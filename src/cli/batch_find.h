// SPDX-License-Identifier: MPL-2.0
//
// Which files a command with many of them works on (editing.md 3.3).
#pragma once

#include <string>
#include <vector>

#include "cli/batch.h"

namespace sops {

/// A file that was named or found, or a name that is of no use.
struct FoundFile {
  BatchFile file;
  std::string place;  // path below --output-dir: a named file's own name, a found one's path in the named directory
  std::optional<Error> error;  // there is no such file, it is a directory …
  std::string skip;            // why it is left out: it is the same file as another
};

struct SearchOptions {
  bool recursive = false;
  std::string output_dir;  // absolute; never searched. "" for none
  std::string config;      // absolute; never taken. "" for none
};

struct SearchResult {
  std::vector<FoundFile> candidates;  // in the order of the words; those of a directory sorted by path
  std::vector<std::string> remains;   // absolute paths of files beside which temporary files of ours lie
};

/// Looks at every word and, with `recursive`, into directories: it follows no link in there, and leaves out what is no
/// regular file, `.git`, `.sops.yaml` and temporary files of ours. The same file under a second name is skipped.
/// Errors: kUsage (exit status 8) for standard input among the words.
Result<SearchResult> find_files(const std::vector<std::string>& words, const SearchOptions& options,
                                Services& services);

}  // namespace sops
