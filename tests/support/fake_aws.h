// SPDX-License-Identifier: MPL-2.0
//
// For the tests of this folder: a network of scripted answers below a FakeServices, and calls to it.
#pragma once

#include <deque>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cloud/aws/client.h"
#include "sys/notes.h"
#include "tests/support/fake_services.h"

namespace sops::aws {

/// What a host answers, or why nothing comes.
struct Reply {
  int status = 200;
  std::string body;
  std::vector<HttpHeader> headers;
  std::optional<ErrorCode> failure;
  std::chrono::milliseconds takes{0};
};

/// What was sent.
struct Sent {
  std::string method, url, body;
  std::map<std::string, std::string> headers;  // by lower-case name
  bool bypass_proxy = false;
  std::string ca_bundle;
  std::chrono::milliseconds connect_deadline{0};
  std::chrono::milliseconds answer_deadline{0};

  std::string header(const std::string& name) const {
    const auto found = headers.find(name);
    return found == headers.end() ? "" : found->second;
  }
};

class FakeAws {
 public:
  static constexpr const char* kKms = "POST https://kms.us-east-1.amazonaws.com/";
  static constexpr const char* kSts = "POST https://sts.us-east-1.amazonaws.com/";
  static constexpr const char* kRole = "arn:aws:iam::111122223333:role/sops";
  // Ends of messages: where a profile stands, and that nothing else was tried.
  const std::string kIn = " in /home/person/.aws/config";
  const std::string kOnly = " was selected; no other credentials were considered)";

  FakeAws() {
    world.environment.set("AWS_EC2_METADATA_DISABLED", "true");
    world.http.answer = [this](const HttpRequest& request) { return reply_to(request); };
    on(kKms, {.body = R"({"KeyId":"k","Plaintext":"AAEC"})"});
  }

  /// Lets "METHOD url" be answered like this, the last reply again and again.
  void on(const std::string& where, Reply reply) { replies_[where] = {std::move(reply)}; }
  void on(const std::string& where, std::vector<Reply> replies) { replies_[where] = {replies.begin(), replies.end()}; }
  void config(std::string_view text) { world.files.put("/home/person/.aws/config", text); }
  void credentials(std::string_view text) { world.files.put("/home/person/.aws/credentials", text); }
  void set(const std::string& name, const std::string& value) { world.environment.set(name, value); }
  void set_keys() {
    set("AWS_ACCESS_KEY_ID", "AKIDENV");
    set("AWS_SECRET_ACCESS_KEY", "secret-of-env");
  }

  Result<Json> call_with(const Caller& caller, const std::string& region = "us-east-1") {
    CallRequest request;
    request.region = region;
    request.partition = "aws";
    request.target = "TrentService.Decrypt";
    request.body = SecureBytes::copy_of(std::string_view("{}"));
    request.explain = explain;
    return world.services().run.get<Client>().call(request, caller, world.services());
  }
  Result<Json> call(const std::string& profile = "") { return call_with({.profile = profile}); }

  /// "" for success, else message and hint.
  std::string failure(const Result<Json>& result) {
    if (result) return "";
    return to_string(result.error()) + (result.error().hint.empty() ? "" : " / " + result.error().hint);
  }
  std::string failure(const std::string& profile = "") { return failure(call(profile)); }

  /// Where the requests went, in order, without their query.
  std::vector<std::string> places() const {
    std::vector<std::string> result;
    for (const Sent& one : sent) result.push_back(format("{} {}", one.method, one.url.substr(0, one.url.find('?'))));
    return result;
  }
  /// The access key that the last request was signed with.
  std::string signer() const { return signer_of(sent.back()); }
  static std::string signer_of(const Sent& one) {
    const std::string text = one.header("authorization");
    const size_t begin = text.find("Credential=");
    return begin == std::string::npos ? "" : text.substr(begin + 11, text.find('/', begin) - begin - 11);
  }
  std::vector<std::string> notes(Note::Kind kind) {
    std::vector<std::string> texts;
    for (const Note& note : world.run.get<Notes>().take()) {
      if (note.kind == kind) texts.push_back(note.text);
    }
    return texts;
  }

  /// What STS answers to AssumeRole.
  static Reply role(std::string_view id, std::string_view expiration = "2026-01-02T04:04:05Z") {
    return {
        .body = format(
            R"(<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult><Credentials>)"
            "<AccessKeyId>{}</AccessKeyId><SecretAccessKey>secret-of-{}</SecretAccessKey>"
            "<SessionToken>token-of-{}</SessionToken><Expiration>{}</Expiration></Credentials>"
            "</AssumeRoleResult></AssumeRoleResponse>",
            id, id, id, expiration)};
  }
  static Reply xml_error(int status, std::string_view code, std::string_view message) {
    return {.status = status,
            .body = format("<ErrorResponse><Error><Type>Sender</Type><Code>{}</Code><Message>{}</Message></Error>"
                           "<RequestId>r-1</RequestId></ErrorResponse>",
                           code, message)};
  }
  static Reply json_error(int status, std::string_view code, std::string_view message) {
    return {.status = status,
            .body = format(R"({{"__type":"{}","message":"{}"}})", code, message),
            .headers = {{"x-amzn-RequestId", "r-1"}}};
  }

  FakeServices world;
  std::vector<Sent> sent;
  std::function<std::optional<Error>(const Refusal&)> explain;

 private:
  Result<HttpAnswer> reply_to(const HttpRequest& request) {
    Sent one{.method = request.method,
             .url = request.url,
             .body = std::string(request.body.expose_text()),
             .headers = {},
             .bypass_proxy = request.bypass_proxy,
             .ca_bundle = request.ca_bundle,
             .connect_deadline = request.connect_deadline,
             .answer_deadline = request.answer_deadline};
    for (const HttpHeader& header : request.headers) one.headers[to_lower(header.name)] = header.value;
    sent.push_back(one);
    const auto found = replies_.find(format("{} {}", request.method, request.url.substr(0, request.url.find('?'))));
    if (found == replies_.end()) return fail(ErrorCode::kNotFound, "there is no host of {}", request.url);
    const Reply reply = found->second.front();
    if (found->second.size() > 1) found->second.pop_front();
    world.clock.time += reply.takes;
    if (reply.failure) return fail(*reply.failure, "cannot reach it");
    HttpAnswer answer;
    answer.status = reply.status;
    answer.headers = reply.headers;
    answer.body = SecureBytes::copy_of(reply.body);
    return answer;
  }

  std::map<std::string, std::deque<Reply>> replies_;
};

}  // namespace sops::aws
