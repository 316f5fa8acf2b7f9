// SPDX-License-Identifier: MPL-2.0
//
// What was noticed on the way and a person should hear, from places that cannot print: services.run.get<Notes>(). cli
// takes and prints them. Several threads may add.
#pragma once

#include <mutex>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace sops {

/// A line for standard error; never holds a secret.
struct Note {
  enum class Kind { kWarning, kDetail };  // a detail is for --verbose
  Kind kind = Kind::kWarning;
  std::string text;
};

/// The notes of a run. A text that was there before is not added again.
class Notes {
 public:
  void add(Note::Kind kind, std::string text) {
    const std::lock_guard lock(mutex_);
    if (seen_.insert(text).second) notes_.push_back({kind, std::move(text)});
  }
  /// Everything since the last call, in order.
  std::vector<Note> take() {
    const std::lock_guard lock(mutex_);
    return std::exchange(notes_, {});
  }

 private:
  std::mutex mutex_;
  std::set<std::string> seen_;
  std::vector<Note> notes_;
};

}  // namespace sops
