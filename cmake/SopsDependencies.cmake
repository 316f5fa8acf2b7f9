# The system packages we link. Static archives, so that the program starts in milliseconds and runs where only libc is
# (architecture.md 3); nothing is downloaded. Each library becomes one imported target sops_third_party_<name>.

find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)

# sops_static_library(NAME <target> ARCHIVE <lib….a> HEADER <header>)
function(sops_static_library)
  cmake_parse_arguments(ARG "" "NAME;ARCHIVE;HEADER" "" ${ARGN})
  find_library(SOPS_${ARG_NAME}_ARCHIVE ${ARG_ARCHIVE} REQUIRED)
  find_path(SOPS_${ARG_NAME}_INCLUDE ${ARG_HEADER} REQUIRED)
  add_library(sops_third_party_${ARG_NAME} STATIC IMPORTED GLOBAL)
  set_target_properties(sops_third_party_${ARG_NAME} PROPERTIES
    IMPORTED_LOCATION ${SOPS_${ARG_NAME}_ARCHIVE}
    INTERFACE_INCLUDE_DIRECTORIES ${SOPS_${ARG_NAME}_INCLUDE})
endfunction()

sops_static_library(NAME crypto ARCHIVE libcrypto.a HEADER openssl/evp.h)
target_link_libraries(sops_third_party_crypto INTERFACE Threads::Threads ${CMAKE_DL_LIBS})
sops_static_library(NAME yaml ARCHIVE libyaml.a HEADER yaml.h)
sops_static_library(NAME re2 ARCHIVE libre2.a HEADER re2/re2.h)
target_link_libraries(sops_third_party_re2 INTERFACE Threads::Threads)
sops_static_library(NAME expat ARCHIVE libexpat.a HEADER expat.h)

# Linked by the network module only, and dynamically: it comes with a second OpenSSL of its own.
find_package(CURL 7.87 REQUIRED)
add_library(sops_third_party_curl ALIAS CURL::libcurl)

find_path(SOPS_fmt_INCLUDE fmt/core.h REQUIRED)
