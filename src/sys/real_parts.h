// SPDX-License-Identifier: MPL-2.0
//
// Makers of the real implementations, one per interface of services.h. Private to sys: others use RealServices.
#pragma once

#include <sys/resource.h>

#include <memory>

#include "sys/commands.h"
#include "sys/http.h"
#include "sys/services.h"

namespace sops {

std::unique_ptr<Files> make_real_files();
std::unique_ptr<Processes> make_real_processes();
std::unique_ptr<Terminal> make_real_terminal();
std::unique_ptr<Commands> make_real_commands();
/// Borrows both.
std::unique_ptr<Http> make_real_http(Files& files, Environment& environment);

/// What Commands::make_folder promises.
Result<std::unique_ptr<PrivateFolder>> make_private_folder(const PrivateFolderOptions& options);

/// The folders that may hold a private folder, the best first: those in memory, and with allow_disk one on a disk. Some
/// may not exist or not be writable.
std::vector<std::string> private_folder_parents(const PrivateFolderOptions& options);

/// Why there is no private folder.
Failure no_private_folder();

/// What Commands::make_session and abandoned_sessions promise.
Result<std::unique_ptr<SessionFolder>> make_session_folder(const SessionFolderOptions& options);
std::vector<std::unique_ptr<SessionFolder>> abandoned_session_folders();

/// The descriptor whose lock says that a session is alive. REQUIRES: one of the functions above made `folder`.
int session_lock(const SessionFolder& folder);

/// Where the program `name` is: as it stands if it has a slash, else in PATH, but never in a relative entry of it.
/// Errors: kNotFound.
Result<std::string> find_program(const std::string& name);

/// With SIGCHLD ignored, which a parent can hand down, the kernel throws exit statuses away. This ends that.
void make_children_waitable();

/// The limit for core files that harden_process() found: children get it back.
rlimit original_core_limit();

/// Does what Files::replace promises. docs/decisions/0002 tells why in this way.
Result<ReplaceMethod> replace_file(const std::string& path, std::span<const uint8_t> content,
                                   const Files::ReplaceOptions& options);

/// What Files::begin_changes and Files::remove_remains promise.
std::unique_ptr<FileChanges> make_real_changes();
void remove_remains(const std::string& path);

/// No document is longer (tree/document.h has the same number: offsets there have 32 bits).
inline constexpr uint64_t kMaxFileSize = 0xfffffff0;

}  // namespace sops
