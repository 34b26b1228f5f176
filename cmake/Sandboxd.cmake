# How every target of the tree is built: warnings, hardening, sanitizers, and the three kinds of target.

find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)

# The daemon and its plugins build without what only the tests need.
pkg_check_modules(CMOCKA QUIET IMPORTED_TARGET cmocka)
find_program(SYSTEM_PYTHON python3 PATHS /usr/bin NO_DEFAULT_PATH) # Debian's, for which its packages are
set(can_test OFF)
if(CMOCKA_FOUND AND SYSTEM_PYTHON)
    set(can_test ON)
endif()
option(SANDBOXD_TESTS "Build the tests" ${can_test})
if(NOT SANDBOXD_TESTS AND NOT can_test)
    message(STATUS "The tests are not built: they need cmocka and python3 (tests/run.sh installs them)")
endif()
option(SANDBOXD_FUZZ "Build the fuzz targets (clang only)" OFF)
set(SANDBOXD_SANITIZE "" CACHE STRING "Sanitizers, as in -fsanitize=: 'address,undefined' or 'thread'")

if(NOT CMAKE_BUILD_TYPE)
    set(CMAKE_BUILD_TYPE RelWithDebInfo CACHE STRING "" FORCE)
endif()

set(CMAKE_C_STANDARD 17)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS OFF)
set(CMAKE_C_VISIBILITY_PRESET hidden)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
set(SANDBOXD_PLUGIN_OUTPUT ${CMAKE_BINARY_DIR}/plugins)

add_compile_definitions(_GNU_SOURCE)
add_compile_options(
    -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith -Wformat=2
    -Wundef -Wvla -Wwrite-strings -Wconversion -Wno-sign-conversion -Wimplicit-fallthrough
    -fstack-protector-strong -fno-strict-aliasing)
if(SANDBOXD_SANITIZE)
    add_compile_options(-fsanitize=${SANDBOXD_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
    add_link_options(-fsanitize=${SANDBOXD_SANITIZE})
elseif(NOT CMAKE_BUILD_TYPE STREQUAL "Debug")
    add_compile_definitions(_FORTIFY_SOURCE=2)
endif()
if(SANDBOXD_FUZZ)
    add_compile_options(-fsanitize=fuzzer-no-link) # the layers too: coverage is what guides a fuzzer
endif()
add_link_options(-Wl,-z,relro,-z,now)

pkg_check_modules(LIBEVENT REQUIRED IMPORTED_TARGET libevent_core>=2.1.12)
pkg_check_modules(LIBEVENT_OPENSSL REQUIRED IMPORTED_TARGET libevent_openssl>=2.1.12)
pkg_check_modules(CURL REQUIRED IMPORTED_TARGET libcurl>=7.88)
pkg_check_modules(JSONC REQUIRED IMPORTED_TARGET json-c>=0.16)
pkg_check_modules(YAML REQUIRED IMPORTED_TARGET yaml-0.1)
pkg_check_modules(SQLITE REQUIRED IMPORTED_TARGET sqlite3>=3.40)
pkg_check_modules(OPENSSL REQUIRED IMPORTED_TARGET openssl>=3.0)

# sandboxd_layer(NAME SOURCES a.c … USES layers and libraries …): one folder of core/ as a library.
function(sandboxd_layer name)
    cmake_parse_arguments(LAYER "" "" "SOURCES;USES" ${ARGN})
    add_library(${name} STATIC ${LAYER_SOURCES})
    target_include_directories(${name} PUBLIC ${PROJECT_SOURCE_DIR}/core ${PROJECT_SOURCE_DIR}/include)
    target_link_libraries(${name} PUBLIC ${LAYER_USES})
endfunction()

# sandboxd_plugin(NAME SOURCES a.c … [OUTPUT DIR] [USES libraries …]): a backend. It sees the public headers, and of
# this tree nothing else but static libraries of plugins/ (plugins_common).
function(sandboxd_plugin name)
    cmake_parse_arguments(PLUGIN "" "OUTPUT" "SOURCES;INCLUDES;USES" ${ARGN})
    if(NOT PLUGIN_OUTPUT)
        set(PLUGIN_OUTPUT ${SANDBOXD_PLUGIN_OUTPUT})
    endif()
    if(NOT PLUGIN_INCLUDES)
        set(PLUGIN_INCLUDES ${PROJECT_SOURCE_DIR}/include)
    endif()
    add_library(plugin_${name} MODULE ${PLUGIN_SOURCES})
    set_target_properties(plugin_${name} PROPERTIES
        OUTPUT_NAME ${name} PREFIX "" LIBRARY_OUTPUT_DIRECTORY ${PLUGIN_OUTPUT})
    target_include_directories(plugin_${name} PRIVATE ${PLUGIN_INCLUDES})
    target_link_libraries(plugin_${name} PRIVATE ${PLUGIN_USES})
endfunction()
