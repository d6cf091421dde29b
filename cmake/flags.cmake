# SPDX-License-Identifier: GPL-2.0-or-later
# Language, warnings and build types.

include_guard(GLOBAL)

set(CMAKE_C_STANDARD 17)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS ON) # gnu17
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)

option(OFFKUBE_WERROR "warnings are errors" ON)

add_compile_definitions(_GNU_SOURCE)
add_compile_options(
	-Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith
	# Texts for people may be cut; where a cut matters the result of snprintf is checked.
	$<$<C_COMPILER_ID:GNU>:-Wno-format-truncation>
	# Packets and netlink messages are read through header structs; alignment is UBSan's matter.
	-fno-strict-aliasing
	-fno-common
	# __FILE__ starts at the top of the tree, wherever it was built.
	"-fmacro-prefix-map=${CMAKE_SOURCE_DIR}/=")
if(OFFKUBE_WERROR)
	# Under the sanitizers GCC sees more uninitialised paths than there are; Release decides.
	add_compile_options(-Werror $<$<AND:$<C_COMPILER_ID:GNU>,$<CONFIG:Debug>>:-Wno-error=maybe-uninitialized>)
endif()

set(CMAKE_C_FLAGS_RELEASE "-O2 -g")
set(CMAKE_C_FLAGS_DEBUG "-O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all")
set(CMAKE_C_FLAGS_COVERAGE "-O0 -g --coverage")
set(CMAKE_C_FLAGS_FUZZ "${CMAKE_C_FLAGS_DEBUG} -fsanitize=fuzzer-no-link")
