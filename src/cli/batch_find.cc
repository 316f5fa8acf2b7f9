// SPDX-License-Identifier: MPL-2.0
#include "cli/batch_find.h"

#include <map>
#include <set>
#include <utility>

#include "base/path.h"

namespace sops {

namespace {

constexpr size_t kLongestShown = 4096;

std::string joined(const std::string& folder, const std::string& name) {
  if (folder.empty()) return name;
  return folder.ends_with('/') ? folder + name : format("{}/{}", folder, name);
}

class FileSearch {
 public:
  FileSearch(const SearchOptions& options, Services& services)
      : options_(options), services_(services), cwd_(services.environment.working_directory()) {
    remember_identity(options.output_dir, never_searched_);
    remember_identity(options.config, never_taken_);
  }

  Result<void> add_word(const std::string& word) {
    if (word == "-") {
      return fail(ErrorCode::kUsage, "standard input cannot be one of several files")
          .hint("a file of that name is written ./-")
          .exit(ExitStatus::kConflictingParameters);
    }
    const std::string path = absolute_path(word, cwd_);
    FoundFile candidate = candidate_for(path, word, basename(path));
    auto info = or_exit(services_.files.info(path), ExitStatus::kCannotReadInput);
    if (!info) {
      candidate.error = std::move(info.error());
    } else if (!*info) {
      candidate.error = fail(ErrorCode::kNotFound, "there is no such file").exit(ExitStatus::kNoFile).error();
    } else if ((*info)->kind == FileInfo::Kind::kDirectory && options_.recursive) {
      search({.path = path, .name = clean_path(word) == "." ? "" : word});
      return {};
    } else if ((*info)->kind == FileInfo::Kind::kDirectory) {
      candidate.error = fail(ErrorCode::kUsage, "this is a directory").hint("-r takes the files in it").error();
    } else if ((*info)->kind != FileInfo::Kind::kRegular) {
      candidate.error = fail(ErrorCode::kUsage, "this is no regular file").hint("name it alone").error();
    } else {
      add(std::move(candidate), **info);
      return {};
    }
    candidate.error->context.push_back(candidate.file.input.shown);
    result_.candidates.push_back(std::move(candidate));
    return {};
  }

  SearchResult take() && { return std::move(result_); }

 private:
  struct Place {
    std::string path;  // absolute
    std::string name;  // as a person would write it; "" for the working directory
    std::string place;
    DirectoryEntry::Kind kind = DirectoryEntry::Kind::kDirectory;
  };
  using Identity = std::pair<uint64_t, uint64_t>;

  void remember_identity(const std::string& path, std::set<Identity>& identities) {
    if (path.empty()) return;
    const auto info = services_.files.info(path);
    if (info && *info) identities.insert({(*info)->device, (*info)->inode});
  }

  static FoundFile candidate_for(const std::string& path, const std::string& name, const std::string& place) {
    FoundFile candidate;
    candidate.file.input.path = path;
    candidate.file.input.effective = path;
    candidate.file.input.shown = escape_for_message(name, kLongestShown);
    candidate.file.name = name;
    candidate.place = place;
    return candidate;
  }

  void add(FoundFile candidate, const FileInfo& info) {
    const Identity identity{info.device, info.inode};
    const auto [first, is_new] = seen_.emplace(identity, candidate.file.input.shown);
    if (!is_new) candidate.skip = format("the same file as {}", first->second);
    result_.candidates.push_back(std::move(candidate));
  }

  void add_error(const Place& place, Error error) {
    FoundFile candidate = candidate_for(place.path, place.name.empty() ? "." : place.name, place.place);
    error.context.push_back(candidate.file.input.shown);
    candidate.error = std::move(error);
    result_.candidates.push_back(std::move(candidate));
  }

  // Not by recursion: the depth of a directory is not the depth of our stack.
  void search(Place top) {
    std::vector<Place> waiting;
    waiting.push_back(std::move(top));
    while (!waiting.empty()) {
      const Place place = std::move(waiting.back());
      waiting.pop_back();
      if (place.kind == DirectoryEntry::Kind::kDirectory) {
        search_directory(place, waiting);
      } else {
        add_found(place);
      }
    }
  }

  void search_directory(const Place& place, std::vector<Place>& waiting) {
    const auto info = services_.files.info(place.path);
    if (info && *info && never_searched_.contains({(*info)->device, (*info)->inode})) return;
    auto entries = or_exit(services_.files.list(place.path), ExitStatus::kCannotReadInput);
    if (!entries) return add_error(place, std::move(entries.error()));
    for (auto entry = entries->rbegin(); entry != entries->rend(); ++entry) {
      const bool is_file = entry->kind == DirectoryEntry::Kind::kRegular;
      if (!is_file && entry->kind != DirectoryEntry::Kind::kDirectory) continue;
      if (entry->name == ".git" || (is_file && entry->name == ".sops.yaml")) continue;
      const std::string path = joined(place.path, entry->name);
      if (is_file) {
        if (auto target = services_.files.target_of_temporary_file(path)) {
          result_.remains.push_back(std::move(*target));
          continue;
        }
      }
      waiting.push_back({.path = path,
                         .name = joined(place.name, entry->name),
                         .place = joined(place.place, entry->name),
                         .kind = entry->kind});
    }
  }

  void add_found(const Place& place) {
    auto info = or_exit(services_.files.info(place.path), ExitStatus::kCannotReadInput);
    if (!info) return add_error(place, std::move(info.error()));
    // Gone, or something else, since the directory was read.
    if (!*info || (*info)->kind != FileInfo::Kind::kRegular) return;
    if (never_taken_.contains({(*info)->device, (*info)->inode})) return;
    FoundFile candidate = candidate_for(place.path, place.name, place.place);
    candidate.file.is_found = true;
    add(std::move(candidate), **info);
  }

  const SearchOptions& options_;
  Services& services_;
  std::string cwd_;
  std::set<Identity> never_searched_;
  std::set<Identity> never_taken_;
  std::map<Identity, std::string> seen_;
  SearchResult result_;
};

}  // namespace

Result<SearchResult> find_files(const std::vector<std::string>& words, const SearchOptions& options,
                                Services& services) {
  FileSearch search(options, services);
  for (const std::string& word : words) TRY(search.add_word(word));
  return std::move(search).take();
}

}  // namespace sops
