# Our own functions for declaring targets.

# Warnings and sanitizers, as interface targets.
add_library(sops_warnings INTERFACE)
target_compile_options(sops_warnings INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Werror=unused-result -Werror=return-type
  $<$<BOOL:${SOPS_WERROR}>:-Werror>
  # `auto&& x = …; if (!x)` in TRY is a GNU statement expression on purpose.
  $<$<CXX_COMPILER_ID:Clang>:-Wno-gnu-statement-expression -Wno-missing-designated-field-initializers
    -Wno-deprecated-declarations>  # std::stable_sort of libstdc++ 12
  # g++ 12 sees overlapping copies in inlined std::string code where there are none (its bug 105329).
  $<$<CXX_COMPILER_ID:GNU>:-Wno-missing-field-initializers -Wno-restrict>)

add_library(sops_hardening INTERFACE)
target_compile_options(sops_hardening INTERFACE -fstack-protector-strong -fPIE)
if(NOT SOPS_SANITIZE)
  target_compile_options(sops_hardening INTERFACE
    $<$<NOT:$<CONFIG:Debug>>:-U_FORTIFY_SOURCE> $<$<NOT:$<CONFIG:Debug>>:-D_FORTIFY_SOURCE=2>)
endif()
target_link_options(sops_hardening INTERFACE -pie -Wl,-z,relro,-z,now)

add_library(sops_sanitizers INTERFACE)
if(SOPS_SANITIZE)
  target_compile_options(sops_sanitizers INTERFACE -fsanitize=${SOPS_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_link_options(sops_sanitizers INTERFACE -fsanitize=${SOPS_SANITIZE})
endif()

# sops_library(NAME <folder> SRCS <file>… [DEPS <target>…] [PRIVATE_DEPS <target>…] [TESTS <x_test.cc>…])
#
# A static library sops_<folder> (alias sops::<folder>) of the current folder, and one test program for its TESTS. SRCS lists
# headers too. PRIVATE_DEPS are third-party libraries whose headers nobody else may see.
function(sops_library)
  cmake_parse_arguments(ARG "" "NAME" "SRCS;DEPS;PRIVATE_DEPS;TESTS;TEST_DEPS" ${ARGN})
  add_library(sops_${ARG_NAME} STATIC ${ARG_SRCS})
  add_library(sops::${ARG_NAME} ALIAS sops_${ARG_NAME})
  target_compile_features(sops_${ARG_NAME} PUBLIC cxx_std_23)
  target_include_directories(sops_${ARG_NAME} PUBLIC ${PROJECT_SOURCE_DIR}/src ${PROJECT_BINARY_DIR}/generated)
  target_include_directories(sops_${ARG_NAME} SYSTEM PUBLIC ${SOPS_fmt_INCLUDE})
  target_link_libraries(sops_${ARG_NAME} PUBLIC ${ARG_DEPS} PRIVATE ${ARG_PRIVATE_DEPS} sops_warnings sops_hardening
    PUBLIC sops_sanitizers)
  if(SOPS_BUILD_TESTS AND ARG_TESTS)
    sops_test(NAME ${ARG_NAME} SRCS ${ARG_TESTS} DEPS sops::${ARG_NAME} ${ARG_TEST_DEPS})
  endif()
endfunction()

# sops_test(NAME <name> SRCS <file>… DEPS <target>… [LABELS <label>…])
#
# A GoogleTest program <name>_test that CTest runs as a whole.
function(sops_test)
  cmake_parse_arguments(ARG "" "NAME" "SRCS;DEPS;LABELS" ${ARGN})
  if(NOT TARGET GTest::gmock_main)
    find_package(GTest REQUIRED)
  endif()
  add_executable(${ARG_NAME}_test ${ARG_SRCS})
  target_include_directories(${ARG_NAME}_test PRIVATE ${PROJECT_SOURCE_DIR} ${PROJECT_SOURCE_DIR}/src)
  target_compile_definitions(${ARG_NAME}_test PRIVATE
    SOPS_SOURCE_DIR="${PROJECT_SOURCE_DIR}" SOPS_SHARED_DIR="${PROJECT_SOURCE_DIR}/../shared")
  target_link_libraries(${ARG_NAME}_test PRIVATE ${ARG_DEPS} sops_warnings sops_hardening sops_sanitizers
    GTest::gtest GTest::gmock GTest::gmock_main)
  add_test(NAME ${ARG_NAME} COMMAND ${ARG_NAME}_test)
  set_tests_properties(${ARG_NAME} PROPERTIES TIMEOUT 600 LABELS "${ARG_LABELS}")
endfunction()

# sops_extensions(FILE <x.def> MACRO <NAME> VARIABLE <list>)
#
# Reads the lines NAME(<folder>) of a .def file: adds each folder and appends sops::<folder> to <list>. The same file is
# included by registry.cc, so a folder and its line are all there is to add.
macro(sops_extensions)
  cmake_parse_arguments(EXT "" "FILE;MACRO;VARIABLE" "" ${ARGN})
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${EXT_FILE})
  file(STRINGS ${EXT_FILE} ext_lines REGEX "^${EXT_MACRO}\\(")
  foreach(ext_line IN LISTS ext_lines)
    string(REGEX REPLACE "^${EXT_MACRO}\\(([a-z0-9_]+)\\).*" "\\1" ext_name ${ext_line})
    add_subdirectory(${ext_name})
    list(APPEND ${EXT_VARIABLE} sops::${ext_name})
  endforeach()
endmacro()
