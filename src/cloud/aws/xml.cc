// SPDX-License-Identifier: MPL-2.0
//
// expat calls back for each start, text and end. Its own buffers hold secret keys for a moment, so its memory comes
// from functions that wipe it.
#include "cloud/aws/xml.h"

#include <expat.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <memory>
#include <new>
#include <span>

namespace sops::aws {

namespace {

constexpr size_t kDeepest = 16;
constexpr size_t kMostElements = 1000;
constexpr size_t kLongestText = 64 << 10;
constexpr size_t kHeader = alignof(std::max_align_t);  // in front of each piece: its size

void* allocate(size_t size) {
  void* memory = ::operator new(size + kHeader, std::nothrow);
  if (memory == nullptr) return nullptr;
  std::memcpy(memory, &size, sizeof size);
  return static_cast<char*>(memory) + kHeader;
}

size_t size_of(void* piece) {
  size_t size = 0;
  std::memcpy(&size, static_cast<char*>(piece) - kHeader, sizeof size);
  return size;
}

void release(void* piece) {
  if (piece == nullptr) return;
  wipe({static_cast<uint8_t*>(piece), size_of(piece)});
  ::operator delete(static_cast<char*>(piece) - kHeader);
}

void* reallocate(void* piece, size_t size) {
  void* moved = allocate(size);
  if (moved == nullptr || piece == nullptr) return moved;
  std::memcpy(moved, piece, std::min(size, size_of(piece)));
  release(piece);
  return moved;
}

constexpr XML_Memory_Handling_Suite kWipedMemory = {allocate, reallocate, release};

// What has been read so far. Texts are built apart, because an element's text may go on behind its children.
struct Reading {
  struct Open {
    size_t path_size;  // of the path above it
    size_t position;   // among the elements
  };
  struct Found {
    std::string path;
    SecureBuffer text;
  };
  XML_Parser parser = nullptr;
  std::string path;
  std::vector<Open> open;
  std::vector<Found> elements;
  size_t text_size = 0;
  const char* refused = nullptr;

  void refuse(const char* why) {
    refused = why;
    XML_StopParser(parser, XML_FALSE);
  }
};

void XMLCALL on_start(void* user, const XML_Char* name, const XML_Char**) {
  Reading& reading = *static_cast<Reading*>(user);
  if (reading.open.size() >= kDeepest) return reading.refuse("the XML is nested too deeply");
  if (reading.elements.size() >= kMostElements) return reading.refuse("the XML has too many elements");
  reading.open.push_back({reading.path.size(), reading.elements.size()});
  const char* colon = std::strrchr(name, ':');
  reading.path += '/';
  reading.path += colon != nullptr ? colon + 1 : name;
  if (reading.path.size() > kLongestText) return reading.refuse("the XML has too long names");
  reading.elements.push_back({reading.path, {}});
}

void XMLCALL on_end(void* user, const XML_Char*) {
  Reading& reading = *static_cast<Reading*>(user);
  reading.path.resize(reading.open.back().path_size);
  reading.open.pop_back();
}

void XMLCALL on_text(void* user, const XML_Char* text, int size) {
  Reading& reading = *static_cast<Reading*>(user);
  if (reading.open.empty()) return;
  reading.text_size += static_cast<size_t>(size);
  if (reading.text_size > kLongestText) return reading.refuse("the XML is too long");
  reading.elements[reading.open.back().position].text.append({text, static_cast<size_t>(size)});
}

void XMLCALL on_doctype(void* user, const XML_Char*, const XML_Char*, const XML_Char*, int) {
  static_cast<Reading*>(user)->refuse("the XML has a document type");
}

struct ParserFree {
  void operator()(XML_Parser parser) const { XML_ParserFree(parser); }
};

}  // namespace

Result<Xml> Xml::parse(std::string_view text) {
  const std::unique_ptr<XML_ParserStruct, ParserFree> parser(XML_ParserCreate_MM(nullptr, &kWipedMemory, nullptr));
  SOPS_CHECK(parser != nullptr, "out of memory ends the program");
  Reading reading;
  reading.parser = parser.get();
  XML_SetUserData(parser.get(), &reading);
  XML_SetElementHandler(parser.get(), on_start, on_end);
  XML_SetCharacterDataHandler(parser.get(), on_text);
  XML_SetStartDoctypeDeclHandler(parser.get(), on_doctype);
  if (text.size() > (size_t{1} << 24)) return fail(ErrorCode::kMalformed, "the XML is too long");
  const auto status = XML_Parse(parser.get(), text.data(), static_cast<int>(text.size()), XML_TRUE);
  if (reading.refused != nullptr) return fail(ErrorCode::kMalformed, "{}", reading.refused);
  if (status != XML_STATUS_OK) return fail(ErrorCode::kMalformed, "this is no XML");

  Xml xml;
  for (const Reading::Found& found : reading.elements) {
    xml.elements_.push_back({found.path, xml.arena_.store(found.text.view())});
  }
  return xml;
}

std::string_view Xml::text(std::string_view path) const {
  for (const Element& element : elements_) {
    const std::string_view full = element.path;
    if (full.ends_with(path) && full[full.size() - path.size() - 1] == '/') return element.text;
  }
  return {};
}

}  // namespace sops::aws
