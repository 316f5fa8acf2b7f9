// SPDX-License-Identifier: MPL-2.0
//
// Finding `.sops.yaml` (config.md 1, editing.md 6.1, 6.2). Two searches: SOPS's, from the working directory, and ours,
// from the directory of the file to encrypt. The first one decides wherever it finds anything, so that nobody gets
// other keys than from SOPS without asking for it.
#include "base/path.h"
#include "config/config.h"

namespace sops {
namespace {

constexpr size_t kMaxDirectories = 100;
constexpr std::string_view kName = ".sops.yaml";
constexpr std::string_view kWrongName = ".sops.yml";
constexpr uint32_t kWorldWritable = 0002;

// A file that a search found.
struct Found {
  std::string path;  // to open and to show
  FileInfo info;
};

// What is at `path`. A place that cannot be looked at counts as empty, as in SOPS.
std::optional<FileInfo> info_of(const std::string& path, Services& services) {
  Result<std::optional<FileInfo>> info = services.files.info(path);
  return info ? *info : std::nullopt;
}

// SOPS's search: relative candidates, so that the system resolves the parents (config.md 1.1).
std::optional<Found> search_from_working_directory(Services& services, std::vector<std::string>& warnings) {
  std::optional<Found> found;
  std::string wrong;  // the nearest file of the wrong name, if it is nearer than the right one
  std::string prefix;
  for (size_t i = 0; i < kMaxDirectories && !found; ++i, prefix += "../") {
    const std::string path = prefix + std::string(kName);
    if (const std::optional<FileInfo> info = info_of(path, services)) {
      found = {.path = path, .info = *info};
    } else if (const std::string other = prefix + std::string(kWrongName); wrong.empty() && info_of(other, services)) {
      wrong = other;
    }
  }
  if (!wrong.empty()) {
    const std::string instead = found ? format("; {} is used", found->path) : std::string();
    warnings.push_back(format("{} is ignored: the name must be {}{}", wrong, kName, instead));
  }
  return found;
}

// Our search, by the text of the path: from the directory of the link, not of what it points to.
std::optional<Found> search_from_target(std::string_view target, Services& services) {
  std::string directory = dirname(target);
  for (size_t i = 0; i < kMaxDirectories; ++i) {
    const std::string path = (directory == "/" ? "" : directory) + "/" + std::string(kName);
    if (const std::optional<FileInfo> info = info_of(path, services)) return Found{.path = path, .info = *info};
    std::string parent = dirname(directory);
    if (parent == directory) break;
    directory = std::move(parent);
  }
  return std::nullopt;
}

// editing.md 6.2: "A file found by the second way that is owned neither by the user nor by root, or lies in a
// world-writable directory, is refused."
Result<void> check_owner(const Found& found, Services& services) {
  constexpr std::string_view kHint = "name it with --config if its keys are the ones you want";
  if (found.info.owner != 0 && found.info.owner != services.environment.user_id()) {
    return fail(ErrorCode::kDenied, "{} belongs to another user", escape_for_message(found.path))
        .hint(std::string(kHint));
  }
  const std::optional<FileInfo> directory = info_of(dirname(found.path), services);
  if (!directory || (directory->mode & kWorldWritable) != 0) {
    return fail(ErrorCode::kDenied, "{} lies in a directory that everybody can write to",
                escape_for_message(found.path))
        .hint(std::string(kHint));
  }
  return {};
}

bool is_same(const Found& a, const Found& b, std::string_view cwd) {
  if (absolute_path(a.path, cwd) == absolute_path(b.path, cwd)) return true;
  return a.info.inode != 0 && a.info.inode == b.info.inode && a.info.device == b.info.device;
}

Result<Config> load(const std::string& path, ConfigOrigin origin, Services& services,
                    std::vector<std::string>& warnings) {
  const SecureBytes bytes = TRY(in_context(services.files.read(path), "configuration {}", escape_for_message(path)));
  std::vector<std::string> found;
  Config config =
      TRY(in_context(parse_config(bytes.expose_text(), all_key_sources(), found), "{}", escape_for_message(path)));
  for (const std::string& warning : found) warnings.push_back(format("{}: {}", escape_for_message(path), warning));
  config.path = path;
  config.directory = dirname(absolute_path(path, services.environment.working_directory()));
  config.origin = origin;
  return config;
}

}  // namespace

Result<std::optional<Config>> load_config(const ConfigQuery& query, Services& services,
                                          std::vector<std::string>& warnings) {
  if (!query.explicit_path.empty()) {
    Config config = TRY(load(query.explicit_path, ConfigOrigin::kExplicit, services, warnings));
    return config;
  }
  const std::optional<Found> outer = search_from_working_directory(services, warnings);
  const std::optional<Found> inner = query.target.empty() ? std::nullopt : search_from_target(query.target, services);
  if (!outer && !inner) return std::nullopt;

  if (outer) {
    Config config = TRY(load(outer->path, ConfigOrigin::kWorkingDirectory, services, warnings));
    if (!inner || is_same(*outer, *inner, services.environment.working_directory())) return config;
    if (!config.looks_from_target) {
      warnings.push_back(
          format("{} is used, not {}; choose with --config or 'config: {{lookup: target}}' in the former", outer->path,
                 escape_for_message(inner->path)));
      return config;
    }
  }
  TRY(check_owner(*inner, services));
  Config config = TRY(load(inner->path, ConfigOrigin::kTargetDirectory, services, warnings));
  return config;
}

}  // namespace sops
