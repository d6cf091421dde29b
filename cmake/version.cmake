# SPDX-License-Identifier: GPL-2.0-or-later
# version.h for src/app: run at every build (cmake -P) and written only when it changes.
#	OFFKUBE_COMMIT "1234567890ab", with changes not committed "1234567890ab-dirty", outside git "unknown"
#	OFFKUBE_VERSION "0.1.0+" and the commit
# In: SOURCE_DIR, OUTPUT, VERSION.

cmake_minimum_required(VERSION 3.25)
set(commit "unknown")
if(EXISTS "${SOURCE_DIR}/.git")
	execute_process(COMMAND git -C "${SOURCE_DIR}" describe --always --abbrev=12 --exclude=* --dirty=-dirty
		OUTPUT_VARIABLE described OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET RESULT_VARIABLE failed)
	if(NOT failed)
		set(commit "${described}")
	endif()
endif()
configure_file("${SOURCE_DIR}/cmake/version.h.in" "${OUTPUT}" @ONLY)
