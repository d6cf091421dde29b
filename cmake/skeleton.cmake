# SPDX-License-Identifier: GPL-2.0-or-later
# bpftool writes skeletons to its standard output. Called by cmake/rooms.cmake: BPFTOOL, OBJECT, NAME, OUTPUT.
execute_process(COMMAND "${BPFTOOL}" gen skeleton "${OBJECT}" name "${NAME}" OUTPUT_FILE "${OUTPUT}" RESULT_VARIABLE result
	ERROR_VARIABLE why)
if(NOT result EQUAL 0)
	file(REMOVE "${OUTPUT}")
	message(FATAL_ERROR "bpftool gen skeleton ${OBJECT}: ${why}")
endif()
