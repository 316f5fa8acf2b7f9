// SPDX-License-Identifier: MPL-2.0
//
//   1 SOPS_AGE_SSH_PRIVATE_KEY_FILE   5 SOPS_AGE_KEY
//   2 SOPS_AGE_SSH_PRIVATE_KEY_CMD    6 SOPS_AGE_KEY_FILE
//   3 ~/.ssh/id_ed25519               7 SOPS_AGE_KEY_CMD
//   4 ~/.ssh/id_rsa                   8 <config>/sops/age/keys.txt
//
// 1 to 4 hold SSH keys, 5 to 8 hold identities. All are read on every decryption (3.1): a key that cannot be used is a
// problem only if no other fits.
#include "keysources/age/identities.h"

#include <map>
#include <mutex>
#include <optional>
#include <span>
#include <utility>

#include "base/shell_words.h"
#include "sys/run_state.h"

namespace sops::age {

namespace {

// What commands have answered in this run: whoever they ask is asked once, and one at a time (editing.md 5.1). A
// command may answer differently for another recipient, so each gets an answer of its own.
struct CommandAnswers {
  std::mutex mutex;
  std::map<std::pair<std::string, std::string>, Result<SecureBytes>> answers;  // by command and recipient
};

// A search under way.
class Search {
 public:
  Search(std::string_view recipient, Services& services) : recipient_(recipient), services_(services) {}

  FoundIdentities run() && {
    find_ssh_variable("SOPS_AGE_SSH_PRIVATE_KEY_FILE");
    find_ssh_variable("SOPS_AGE_SSH_PRIVATE_KEY_CMD");
    find_ssh_files();
    find_key_variable();
    find_key_file();
    find_key_command();
    find_default_file();
    return std::move(found_);
  }

 private:
  // A variable that is set, or a note that it is not. Set but empty counts as set (3.2).
  std::optional<std::string> variable(const std::string& name) {
    auto value = services_.environment.get(name);
    if (!value) found_.missing_places.push_back(name);
    return value;
  }

  // A variable where empty means the same as unset.
  std::string non_empty(const std::string& name) { return services_.environment.get(name).value_or(""); }

  void problem(Error error) { found_.problems.push_back(std::move(error)); }

  void add_ssh(std::string_view place) {
    found_.identities.push_back(unsupported_ssh_identity(place));
    something_there_ = true;
  }

  // What stood in a place of identities. No identity at all counts as a place without keys (3.2).
  void add(const std::string& place, std::string_view text, IdentityLayout layout) {
    something_there_ = true;
    auto identities = parse_identities(place, text, layout);
    if (!identities) return problem(std::move(identities.error()));
    if (identities->empty()) found_.missing_places.push_back(place);
    for (auto& identity : *identities) found_.identities.push_back(std::move(identity));
  }

  void find_ssh_variable(const std::string& name) {
    if (variable(name)) add_ssh(name);
  }

  void find_ssh_files() {
    const std::string home = non_empty("HOME");
    if (home.empty()) {
      return problem(fail(ErrorCode::kNotFound, "HOME is not set, so there is no .ssh folder to look in").error());
    }
    for (std::string_view name : {"id_ed25519", "id_rsa"}) {
      const std::string path = format("{}/.ssh/{}", home, name);
      const auto info = services_.files.info(path);
      // 3.1: "any stat error counts as absent"
      if (info && info->has_value()) {
        add_ssh(path);
      } else {
        found_.missing_places.push_back(path);
      }
    }
  }

  void find_key_variable() {
    const std::string name = "SOPS_AGE_KEY";
    auto value = variable(name);
    if (!value) return;
    add(name, *value, IdentityLayout::kWords);
    wipe({reinterpret_cast<uint8_t*>(value->data()), value->size()});
  }

  void find_key_file() {
    const std::string name = "SOPS_AGE_KEY_FILE";
    const auto path = variable(name);
    if (!path) return;
    if (path->empty()) {
      return problem(fail(ErrorCode::kNotFound, "{} is set but empty", name).error());
    }
    auto text = in_context(services_.files.read(*path), "{}", name);
    if (!text) return problem(std::move(text.error()));
    add(name, text->expose_text(), IdentityLayout::kLines);
  }

  void find_key_command() {
    const std::string name = "SOPS_AGE_KEY_CMD";
    const auto command = variable(name);
    if (!command) return;
    CommandAnswers& known = services_.run.get<CommandAnswers>();
    const std::lock_guard lock(known.mutex);
    const std::pair key(*command, std::string(recipient_));
    auto answer = known.answers.find(key);
    if (answer == known.answers.end()) answer = known.answers.emplace(key, run_command(name, *command)).first;
    const Result<SecureBytes>& text = answer->second;
    if (!text) return problem(text.error());
    add(name, text->expose_text(), IdentityLayout::kLines);
  }

  // 3.6. Messages name the program only: its arguments may hold a password.
  Result<SecureBytes> run_command(const std::string& name, std::string_view command) {
    auto words = split_shell_words(command);
    if (!words) {
      return fail(ErrorCode::kMalformed, "failed to parse command in {}: {}", name, words.error().message)
          .hint(words.error().hint);
    }
    if (words->empty()) return fail(ErrorCode::kMalformed, "failed to parse command in {}: it is empty", name);
    const std::string program = escape_for_message(words->front());
    RunOptions options;
    options.arguments = std::move(*words);
    options.extra_environment = {{"SOPS_AGE_RECIPIENT", std::string(recipient_)}};
    auto result = services_.processes.run(options);
    if (!result) {
      return fail(result.error().code, "failed to execute command '{}' of {}: {}", program, name,
                  result.error().message)
          .hint(result.error().hint);
    }
    if (result->status != 0) {
      return fail(ErrorCode::kUnavailable, "failed to execute command '{}' of {}: it ended with status {}", program,
                  name, result->status);
    }
    return std::move(result->output);
  }

  // 3.5, as on Linux.
  Result<std::string> config_folder() {
    const std::string config = non_empty("XDG_CONFIG_HOME");
    if (!config.empty()) {
      if (config.front() == '/') return config;
      return fail(ErrorCode::kMalformed, "XDG_CONFIG_HOME is not an absolute path");
    }
    const std::string home = non_empty("HOME");
    if (!home.empty()) return home + "/.config";
    return fail(ErrorCode::kNotFound, "neither XDG_CONFIG_HOME nor HOME is set");
  }

  void find_default_file() {
    auto folder = config_folder();
    if (!folder) {
      if (!something_there_) problem(std::move(folder.error()));
      return;
    }
    const std::string path = *folder + "/sops/age/keys.txt";
    auto text = services_.files.read(path);
    if (text) return add(path, text->expose_text(), IdentityLayout::kLines);
    if (text.error().code != ErrorCode::kNotFound) return problem(std::move(text.error()));
    if (!something_there_) found_.missing_places.push_back(path);
  }

  std::string_view recipient_;
  Services& services_;
  FoundIdentities found_;
  bool something_there_ = false;  // a place held something, usable or not
};

// "A", "A and B", "A, B, and C", each in quotes (4.1).
std::string list_places(std::span<const std::string> places) {
  std::string text;
  for (size_t i = 0; i < places.size(); ++i) {
    if (i > 0) text += places.size() == 2 ? " and " : i + 1 < places.size() ? ", " : ", and ";
    text += format("'{}'", escape_for_message(places[i]));
  }
  return text;
}

}  // namespace

std::string FoundIdentities::explain() const {
  std::string text;
  for (const Error& error : problems) {
    text += text.empty() ? ". " : "; ";
    text += to_string(error);
  }
  if (!missing_places.empty()) {
    text += format(". Did not find keys in location{} {}", missing_places.size() > 1 ? "s" : "",
                   list_places(missing_places));
  }
  return text;
}

FoundIdentities find_identities(std::string_view recipient, Services& services) {
  return Search(recipient, services).run();
}

}  // namespace sops::age
