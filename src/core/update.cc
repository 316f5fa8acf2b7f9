// SPDX-License-Identifier: MPL-2.0
#include "core/update.h"

namespace sops {

Result<EncryptResult> update_text(const OpenedFile&, std::string_view, const UpdateOptions&, Services&) {
  return fail(ErrorCode::kUnsupported, "changing a file is not supported yet");
}

Result<SecureBytes> replace_metadata(const OpenedFile&, const Metadata&, const EmitStyle&) {
  return fail(ErrorCode::kUnsupported, "changing the keys of a file is not supported yet");
}

}  // namespace sops
