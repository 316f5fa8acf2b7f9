// SPDX-License-Identifier: MPL-2.0
//
// Failure as a value: Error, Result<T>, fail(), TRY. Used by everything. Nothing here is shared between threads.
#pragma once

#include <expected>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/text.h"

namespace sops {

/// What a caller may branch on. Few on purpose; the message tells the rest.
enum class ErrorCode {
  kNotMine,      // the wrapped key belongs to another identity; the next one may fit
  kAuthFailed,   // an authentication tag or MAC does not match
  kMalformed,    // the input breaks the rules of its format
  kNotFound,     // the named thing is not there
  kDenied,       // somebody refused permission
  kUnavailable,  // a service or program did not answer
  kUnsupported,  // well formed, but not something we can do
  kUsage,        // the caller asked for something that makes no sense
  kIo,           // the operating system reported an error
  kNeedsPerson,  // somebody would have to be asked, which was not allowed
};

/// The exit statuses of SOPS (spec cli.md 3.12). An Error carries the one that SOPS would end with, because scripts
/// compare them; only cli turns it into a process status.
enum class ExitStatus : int {
  kGeneric = 1,
  kCannotReadInput = 2,
  kCannotWriteOutput = 3,
  kCannotSerialize = 4,
  kBadKmsContext = 6,
  kBadSetFormat = 7,
  kConflictingParameters = 8,
  kCannotEncryptTree = 23,
  kCannotDecryptTree = 25,
  kCannotChangeKeysOfMissingFile = 49,
  kMacMismatch = 51,
  kBadTreePath = 91,
  kNoDocument = 92,
  kNoFile = 100,
  kDuplicateKeyType = 112,
  kNoDataKey = 128,
  kFileNotModified = 200,
  kEditorFailed = 201,
  kAlreadyEncrypted = 203,
};

/// A place in a text that a person can go to. Lines and columns count from 1; columns count characters.
struct TextPosition {
  size_t line = 0;
  size_t column = 0;
};

/// Why something failed, for a person. `message` is lower case without a full stop, names the thing and never holds a
/// secret value.
struct Error {
  ErrorCode code = ErrorCode::kMalformed;
  std::string message;
  std::string hint;                       // what a person can do next; may be empty
  std::optional<TextPosition> position;   // in the input named by the outermost context
  std::vector<std::string> context;       // innermost first: "value db:password", "file prod.yaml"
  std::vector<Error> causes;              // when several were tried: one per master key
  std::optional<ExitStatus> exit_status;  // unset means kGeneric

  /// Returns the error with `text` as its hint, unless it has one.
  Error with_hint(std::string text) &&;
  /// Returns the error with its exit status set, unless a callee that knew better has set one.
  Error with_exit(ExitStatus status) &&;
  /// Returns the error with its position set, unless it has one.
  Error at(TextPosition where) &&;
};

/// `message`, then the position and every context, in one line: "line 3, column 7: expected ']' (file prod.yaml)".
std::string to_string(const Error& error);

/// A value or the Error that stands in its place. Dropping one is a compile error.
template <class T>
class [[nodiscard]] Result : public std::expected<T, Error> {
 public:
  using std::expected<T, Error>::expected;
  // Written out, because `return {};` would zero the room for the error too if it were implicit; that showed in
  // profiles.
  Result() : std::expected<T, Error>() {}
};

/// An Error on its way into a Result, with the builders of Error.
class [[nodiscard]] Failure {
 public:
  explicit Failure(Error error) : error_(std::move(error)) {}

  Failure hint(std::string text) && { return Failure(std::move(error_).with_hint(std::move(text))); }
  Failure exit(ExitStatus status) && { return Failure(std::move(error_).with_exit(status)); }
  Failure at(TextPosition where) && { return Failure(std::move(error_).at(where)); }

  template <class T>
  operator Result<T>() && {  // NOLINT(google-explicit-constructor): `return fail(…)` is the point
    return Result<T>(std::unexpect, std::move(error_));
  }
  Error error() && { return std::move(error_); }

 private:
  Error error_;
};

/// Makes the failure that a function returns: `return fail(ErrorCode::kMalformed, "expected '{}'", c).at(where);`
template <class... Args>
Failure fail(ErrorCode code, fmt::format_string<Args...> pattern, Args&&... args) {
  Error error;
  error.code = code;
  error.message = format_arguments(pattern, fmt::make_format_args(args...));
  return Failure(std::move(error));
}

/// Passes an existing error on.
inline Failure fail(Error error) { return Failure(std::move(error)); }

/// Adds what the caller knows and the callee does not: TRY(in_context(load(path), "reading {}", path)).
template <class T, class... Args>
Result<T> in_context(Result<T> result, fmt::format_string<Args...> pattern, Args&&... args) {
  if (!result) result.error().context.push_back(format_arguments(pattern, fmt::make_format_args(args...)));
  return result;
}

/// Sets the exit status that SOPS uses for a failure of this step: TRY(or_exit(parse(text),
/// ExitStatus::kCannotReadInput)).
template <class T>
Result<T> or_exit(Result<T> result, ExitStatus status) {
  if (!result) result.error() = std::move(result.error()).with_exit(status);
  return result;
}

/// Ends the process because of a mistake in this program (never because of input).
[[noreturn]] void check_failed(const char* file, int line, const char* condition, const char* why);

}  // namespace sops

/// For bugs only: aborts when `cond` is false. `why` says why it cannot be.
#define SOPS_CHECK(cond, why) ((cond) ? static_cast<void>(0) : ::sops::check_failed(__FILE__, __LINE__, #cond, why))

/// The value of a Result, or an early return of its error. Must be the whole right-hand side of a statement: inside a
/// braced initializer g++ and clang forget to destroy what was already made (style.md 1.3); scripts/lint.py checks it.
#define TRY(expr)                                              \
  __extension__({                                              \
    auto&& sops_try_result = (expr);                           \
    if (!sops_try_result) [[unlikely]]                         \
      return ::sops::fail(std::move(sops_try_result.error())); \
    ::sops::internal::release(std::move(sops_try_result));     \
  })

namespace sops::internal {
template <class T>
T release(Result<T>&& result) {
  if constexpr (!std::is_void_v<T>) return std::move(*result);
}
}  // namespace sops::internal
