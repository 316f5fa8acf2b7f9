// SPDX-License-Identifier: MPL-2.0
//
// What lives as long as one run of the program and is shared by all its files and threads: temporary credentials, the
// answer of a key command, the number of programs running at once. Owned by Services, so that nothing is global and
// each test has its own.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <typeindex>

namespace sops {

/// One object of each type, made when it is first asked for.
class RunState {
 public:
  /// The object of type T, made without arguments by the first caller. It lives as long as this; T guards itself
  /// against its threads.
  template <typename T>
  T& get() {
    const std::lock_guard lock(mutex_);
    std::unique_ptr<Held>& slot = objects_[std::type_index(typeid(T))];
    if (slot == nullptr) slot = std::make_unique<HeldObject<T>>();
    return static_cast<HeldObject<T>&>(*slot).object;
  }

 private:
  struct Held {
    virtual ~Held() = default;
  };
  template <typename T>
  struct HeldObject final : Held {
    T object;
  };

  std::mutex mutex_;
  std::map<std::type_index, std::unique_ptr<Held>> objects_;
};

/// Questions to a person.
struct Questions {
  /// Whether one may be asked for a one-time code in this run. cli says no with --json (keys.md 3.4).
  std::atomic<bool> allowed = true;
  /// Held while somebody is asked, over all files of a run: one question at a time, and no progress is shown over it
  /// (keys.md 1.3).
  std::mutex turn;
};

}  // namespace sops
