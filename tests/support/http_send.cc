// SPDX-License-Identifier: MPL-2.0
//
// Drives the real Http from a command line, for tests/integration/http_module.py:
//
//   http_send [OPTIONS] URL
//
//   --method M, --header 'Name: value', --body TEXT, --connect MS, --answer MS, --limit BYTES, --ca FILE, --no-proxy
//   --cancel MS      give every request up after that time
//   --times N        send it N times, --threads T of them at once
//
// For each request one line: `200 12ms BODY`, or `CODE 12ms message | hint`, where CODE is that of the error.
#include <atomic>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include <unistd.h>

#include "base/error.h"
#include "sys/http.h"
#include "sys/real.h"

namespace {

const char* code_name(sops::ErrorCode code) {
  switch (code) {
    case sops::ErrorCode::kUnavailable:
      return "unavailable";
    case sops::ErrorCode::kUnsupported:
      return "unsupported";
    case sops::ErrorCode::kMalformed:
      return "malformed";
    case sops::ErrorCode::kNotFound:
      return "not_found";
    case sops::ErrorCode::kDenied:
      return "denied";
    default:
      return "other";
  }
}

}  // namespace

int main(int argc, char** argv) {
  sops::harden_process();  // as the program does: the module must load nevertheless
  sops::HttpRequest request;
  long cancel = -1;
  int times = 1;
  int threads = 1;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    const auto next = [&] { return std::string(i + 1 < argc ? argv[++i] : ""); };
    if (word == "--method") {
      request.method = next();
    } else if (word == "--header") {
      const std::string line = next();
      const size_t colon = line.find(": ");
      request.headers.push_back({.name = line.substr(0, colon), .value = line.substr(colon + 2)});
    } else if (word == "--body") {
      request.body = sops::SecureBytes::copy_of(next());
    } else if (word == "--connect") {
      request.connect_deadline = std::chrono::milliseconds(std::atol(next().c_str()));
    } else if (word == "--answer") {
      request.answer_deadline = std::chrono::milliseconds(std::atol(next().c_str()));
    } else if (word == "--limit") {
      request.answer_limit = static_cast<size_t>(std::atol(next().c_str()));
    } else if (word == "--ca") {
      request.ca_bundle = next();
    } else if (word == "--no-proxy") {
      request.bypass_proxy = true;
    } else if (word == "--cancel") {
      cancel = std::atol(next().c_str());
    } else if (word == "--times") {
      times = std::atoi(next().c_str());
    } else if (word == "--threads") {
      threads = std::atoi(next().c_str());
    } else {
      request.url = word;
    }
  }

  sops::RealServices services;
  std::stop_source source;
  std::jthread canceller;
  if (cancel >= 0) {
    canceller = std::jthread([&] {
      std::this_thread::sleep_for(std::chrono::milliseconds(cancel));
      source.request_stop();
    });
  }
  std::mutex output;
  std::atomic<int> next_one = 0;
  const auto work = [&] {
    while (next_one++ < times) {
      const auto before = std::chrono::steady_clock::now();
      const auto answer = services.get().http.send(request, source.get_token());
      const auto took =
          std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - before);
      const std::lock_guard lock(output);
      if (answer) {
        std::printf("%d %ldms %.*s\n", answer->status, static_cast<long>(took.count()),
                    static_cast<int>(answer->body.size()), answer->body.expose_text().data());
        if (const auto place = answer->header("location"); !place.empty())
          std::printf("location %s\n", std::string(place).c_str());
      } else {
        std::printf("%s %ldms %s | %s\n", code_name(answer.error().code), static_cast<long>(took.count()),
                    sops::to_string(answer.error()).c_str(), answer.error().hint.c_str());
      }
    }
  };
  {
    std::vector<std::jthread> helpers;
    for (int i = 1; i < threads; ++i) helpers.emplace_back(work);
    work();
  }
  if (canceller.joinable()) canceller.join();
  std::fflush(stdout);
  _exit(0);  // as the program ends
}
