# SPDX-License-Identifier: GPL-2.0-or-later
# One static library per room, built from the table tools/rooms.txt. Called once by the top CMakeLists.txt.
#
# A room exports its own include folder and nothing else, and links the rooms that it may see privately: what is not in its
# row is not on its include path.

include_guard(GLOBAL)
find_package(PkgConfig REQUIRED)

# Reads the table: ROOMS (names in order), ROOM_SEES_<name>, ROOM_PKGS_<name>.
function(offkube_read_rooms file)
	set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${file}")
	file(STRINGS "${file}" lines REGEX "^room ")
	set(rooms "")
	foreach(line IN LISTS lines)
		string(REPLACE ";" "|" line "${line}")
		if(NOT line MATCHES "^room +([a-z0-9_/*]+) *:([^|]*)[|](.*)$")
			message(FATAL_ERROR "${file}: cannot read: ${line}")
		endif()
		set(name "${CMAKE_MATCH_1}")
		set(sees "${CMAKE_MATCH_2}")
		set(pkgs "${CMAKE_MATCH_3}")
		separate_arguments(sees UNIX_COMMAND "${sees}")
		separate_arguments(pkgs UNIX_COMMAND "${pkgs}")
		string(REPLACE "*" "+" name "${name}") # no * in names of variables
		list(APPEND rooms "${name}")
		set("ROOM_SEES_${name}" "${sees}" PARENT_SCOPE)
		set("ROOM_PKGS_${name}" "${pkgs}" PARENT_SCOPE)
	endforeach()
	set(ROOMS "${rooms}" PARENT_SCOPE)
endfunction()

# "target/nft" -> room_target_nft
function(offkube_room_target name ret)
	string(REPLACE "/" "_" name "${name}")
	set(${ret} "room_${name}" PARENT_SCOPE)
endfunction()

# offkube_room(NAME SOURCES file... DEPS room... LIBS module...)
# A room without sources is an interface library with its include folder, so that the others build.
function(offkube_room name)
	cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;DEPS;LIBS")
	offkube_room_target("${name}" lib)
	set(include "${CMAKE_SOURCE_DIR}/src/${name}/include")
	file(GLOB folders CONFIGURE_DEPENDS LIST_DIRECTORIES true "${include}/*") # configure again when the first header comes
	if(NOT arg_SOURCES)
		add_library(${lib} INTERFACE)
		if(IS_DIRECTORY "${include}")
			target_include_directories(${lib} INTERFACE "${include}")
		endif()
		return()
	endif()
	add_library(${lib} STATIC ${arg_SOURCES})
	if(IS_DIRECTORY "${include}")
		target_include_directories(${lib} PUBLIC "${include}")
	endif()
	foreach(dep IN LISTS arg_DEPS)
		offkube_room_target("${dep}" dep)
		target_link_libraries(${lib} PRIVATE ${dep})
	endforeach()
	foreach(module IN LISTS arg_LIBS)
		if(NOT TARGET PkgConfig::${module})
			pkg_check_modules("${module}" REQUIRED IMPORTED_TARGET GLOBAL "${module}")
		endif()
		target_link_libraries(${lib} PRIVATE PkgConfig::${module})
	endforeach()
	target_link_libraries(${lib} PRIVATE m)
endfunction()

# One BPF program, NAME.bpf.c, for the sources of `lib`: it is compiled for the BPF machine, and NAME.skel.h, on the include path of `lib` alone, holds it
# and loads it (libbpf skeleton). What BPF code includes of ours: the folder of `room`, and the vocabulary lists of model.
function(offkube_bpf_program lib room program)
	file(GLOB headers CONFIGURE_DEPENDS "${CMAKE_SOURCE_DIR}/src/${room}/prog/*.h" "${CMAKE_SOURCE_DIR}/src/${room}/abi.h")
	find_program(BPF_CLANG NAMES clang-14 clang REQUIRED)
	find_program(BPFTOOL NAMES bpftool PATHS /usr/sbin REQUIRED)
	set(out "${CMAKE_BINARY_DIR}/bpf/${lib}")
	file(MAKE_DIRECTORY "${out}")
	get_filename_component(leaf "${program}" NAME)
	string(REGEX REPLACE "\\.bpf\\.c$" "" leaf "${leaf}")
	add_custom_command(OUTPUT "${out}/${leaf}.bpf.o"
		COMMAND "${BPF_CLANG}" -O2 -g -Wall -Wextra -Werror -target bpf "-I${CMAKE_SOURCE_DIR}/src/${room}"
			"-I${CMAKE_SOURCE_DIR}/src/model/include" "-fdebug-prefix-map=${CMAKE_SOURCE_DIR}/="
			-idirafter "/usr/include/${CMAKE_C_LIBRARY_ARCHITECTURE}" -c "${program}" -o "${out}/${leaf}.bpf.o"
		DEPENDS "${program}" ${headers} "${CMAKE_SOURCE_DIR}/src/model/include/model/drops.def"
		COMMENT "Compiling BPF ${leaf}" VERBATIM)
	add_custom_command(OUTPUT "${out}/${leaf}.skel.h"
		COMMAND "${CMAKE_COMMAND}" "-DBPFTOOL=${BPFTOOL}" "-DOBJECT=${out}/${leaf}.bpf.o" "-DNAME=${leaf}_bpf"
			"-DOUTPUT=${out}/${leaf}.skel.h" -P "${CMAKE_SOURCE_DIR}/cmake/skeleton.cmake"
		DEPENDS "${out}/${leaf}.bpf.o" "${CMAKE_SOURCE_DIR}/cmake/skeleton.cmake"
		COMMENT "Making skeleton ${leaf}" VERBATIM)
	target_sources(${lib} PRIVATE "${out}/${leaf}.skel.h")
	target_include_directories(${lib} SYSTEM PRIVATE "${out}") # generated: not held to our warnings
endfunction()

# The BPF programs of a room: prog/NAME.bpf.c.
function(offkube_bpf name)
	file(GLOB programs CONFIGURE_DEPENDS "${CMAKE_SOURCE_DIR}/src/${name}/prog/*.bpf.c")
	offkube_room_target("${name}" lib)
	foreach(program IN LISTS programs)
		offkube_bpf_program(${lib} "${name}" "${program}")
	endforeach()
endfunction()

# All rooms. Sets ROOM_LIBS: every library, for programs and tests.
macro(offkube_rooms)
	offkube_read_rooms("${CMAKE_SOURCE_DIR}/tools/rooms.txt")
	set(ROOM_LIBS "")

	# The concrete targets: each folder of src/target but include.
	set(target_rooms "")
	file(GLOB folders CONFIGURE_DEPENDS LIST_DIRECTORIES true "${CMAKE_SOURCE_DIR}/src/target/*")
	foreach(folder IN LISTS folders)
		get_filename_component(leaf "${folder}" NAME)
		if(IS_DIRECTORY "${folder}" AND NOT leaf STREQUAL "include")
			list(APPEND target_rooms "target/${leaf}")
		endif()
	endforeach()
	foreach(name IN LISTS target_rooms)
		file(GLOB sources CONFIGURE_DEPENDS "${CMAKE_SOURCE_DIR}/src/${name}/*.c")
		offkube_room("${name}" SOURCES ${sources} DEPS ${ROOM_SEES_target/+} LIBS ${ROOM_PKGS_target/+} ${ROOM_PKGS_${name}})
		offkube_bpf("${name}")
	endforeach()

	foreach(name IN LISTS ROOMS)
		if(name MATCHES "^target/" OR name STREQUAL "app")
			continue()
		endif()
		if(name STREQUAL "target")
			file(GLOB sources CONFIGURE_DEPENDS "${CMAKE_SOURCE_DIR}/src/target/*.c")
			list(FILTER sources EXCLUDE REGEX "/registry\\.c$")
		else()
			file(GLOB_RECURSE sources CONFIGURE_DEPENDS "${CMAKE_SOURCE_DIR}/src/${name}/*.c")
			list(FILTER sources EXCLUDE REGEX "\\.bpf\\.c$")
		endif()
		offkube_room("${name}" SOURCES ${sources} DEPS ${ROOM_SEES_${name}} LIBS ${ROOM_PKGS_${name}})
		offkube_bpf("${name}")
		offkube_room_target("${name}" lib)
		list(APPEND ROOM_LIBS ${lib})
	endforeach()
	foreach(name IN LISTS target_rooms)
		offkube_room_target("${name}" lib)
		list(APPEND ROOM_LIBS ${lib})
	endforeach()

	# The registry names the concrete targets; who looks a target up links it, and sees the contract only.
	file(GLOB registry CONFIGURE_DEPENDS "${CMAKE_SOURCE_DIR}/src/target/registry.c")
	if(registry)
		add_library(targets STATIC ${registry})
		target_include_directories(targets PUBLIC "${CMAKE_SOURCE_DIR}/src/target/include")
		target_link_libraries(targets PRIVATE ${ROOM_LIBS})
		foreach(name IN LISTS ROOMS)
			if("target" IN_LIST ROOM_SEES_${name} AND NOT name MATCHES "^target")
				offkube_room_target("${name}" lib)
				get_target_property(type ${lib} TYPE)
				if(type STREQUAL "STATIC_LIBRARY")
					target_link_libraries(${lib} PRIVATE "$<LINK_ONLY:targets>")
				endif()
			endif()
		endforeach()
		list(APPEND ROOM_LIBS targets)
	endif()

	# app: everything but the mains is a library too, for tests. src/app/main.c is the program `offkube`.
	# version.h (OFFKUBE_VERSION, OFFKUBE_COMMIT) is made at every build, for app alone.
	file(GLOB sources CONFIGURE_DEPENDS "${CMAKE_SOURCE_DIR}/src/app/*.c")
	set(main "${CMAKE_SOURCE_DIR}/src/app/main.c")
	list(REMOVE_ITEM sources "${main}")
	set(app_libs ${ROOM_LIBS})
	add_custom_target(version BYPRODUCTS "${CMAKE_BINARY_DIR}/generated/version.h"
		COMMAND "${CMAKE_COMMAND}" "-DSOURCE_DIR=${CMAKE_SOURCE_DIR}" "-DVERSION=${PROJECT_VERSION}"
			"-DOUTPUT=${CMAKE_BINARY_DIR}/generated/version.h" -P "${CMAKE_SOURCE_DIR}/cmake/version.cmake"
		COMMENT "Checking version.h" VERBATIM)
	if(sources)
		add_library(room_app STATIC ${sources})
		target_include_directories(room_app PUBLIC "${CMAKE_SOURCE_DIR}/src/app")
		target_include_directories(room_app PRIVATE "${CMAKE_BINARY_DIR}/generated")
		target_link_libraries(room_app PUBLIC ${ROOM_LIBS} m)
		add_dependencies(room_app version)
		list(APPEND app_libs room_app)
	endif()
	if(EXISTS "${main}")
		add_executable(offkube "${main}")
		target_include_directories(offkube PRIVATE "${CMAKE_BINARY_DIR}/generated")
		target_link_libraries(offkube PRIVATE ${app_libs})
		add_dependencies(offkube version)
		install(TARGETS offkube RUNTIME DESTINATION bin)
	endif()
	set(ROOM_LIBS ${app_libs})
endmacro()
