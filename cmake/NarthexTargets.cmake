# narthex_library(NAME <name> [PUBLIC deps…] [PRIVATE deps…] [TEST deps…] [EXCLUDE files…])
#
# One library a folder. Of the *.cc in the current folder
#   *_test.cc   become the GoogleTest executable <name>_test, registered with ctest;
#   *_bench.cc  become the google-benchmark executable <name>_bench;
#   *_fuzz.cc   become one executable each: libFuzzer under NARTHEX_FUZZ, otherwise a replay of
#               its corpus and of seeded mutations, registered with ctest;
#   the rest    becomes the static library narthex_<name>.
# Dependencies that are ours are named without the prefix: `PUBLIC util model`.
function(narthex_resolve OUT)
  set(result)
  foreach(dep IN LISTS ARGN)
    if(IS_DIRECTORY ${PROJECT_SOURCE_DIR}/src/${dep})
      string(REPLACE "/" "_" dep ${dep})
      list(APPEND result narthex_${dep})
    else()
      list(APPEND result ${dep})
    endif()
  endforeach()
  set(${OUT} ${result} PARENT_SCOPE)
endfunction()

function(narthex_library)
  cmake_parse_arguments(ARG "" "NAME" "PUBLIC;PRIVATE;TEST;EXCLUDE" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cc)
  foreach(file IN LISTS ARG_EXCLUDE)
    list(REMOVE_ITEM sources ${CMAKE_CURRENT_SOURCE_DIR}/${file})
  endforeach()
  set(tests ${sources})
  set(benches ${sources})
  set(fuzzers ${sources})
  list(FILTER tests INCLUDE REGEX "_test\\.cc$")
  list(FILTER benches INCLUDE REGEX "_bench\\.cc$")
  list(FILTER fuzzers INCLUDE REGEX "_fuzz\\.cc$")
  list(FILTER sources EXCLUDE REGEX "_(test|bench|fuzz)\\.cc$")
  narthex_resolve(public_deps ${ARG_PUBLIC})
  narthex_resolve(private_deps ${ARG_PRIVATE})
  narthex_resolve(test_deps ${ARG_TEST})

  set(library narthex_${ARG_NAME})
  if(sources)
    add_library(${library} STATIC ${sources})
    target_include_directories(${library} PUBLIC ${PROJECT_SOURCE_DIR}/src)
    target_link_libraries(${library} PUBLIC ${public_deps}
                          PRIVATE ${private_deps} $<BUILD_INTERFACE:narthex_warnings>)
  else()
    add_library(${library} INTERFACE)
    target_include_directories(${library} INTERFACE ${PROJECT_SOURCE_DIR}/src)
    target_link_libraries(${library} INTERFACE ${public_deps} ${private_deps})
  endif()

  if(tests AND BUILD_TESTING)
    add_executable(${ARG_NAME}_test ${tests})
    target_link_libraries(${ARG_NAME}_test PRIVATE ${library} ${private_deps} ${test_deps}
                          narthex_warnings GTest::gmock GTest::gtest_main)
    target_compile_definitions(${ARG_NAME}_test PRIVATE
      NARTHEX_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
    add_test(NAME ${ARG_NAME}_test COMMAND ${ARG_NAME}_test
             WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
    set_tests_properties(${ARG_NAME}_test PROPERTIES TIMEOUT 600)
  endif()
  if(benches)
    add_executable(${ARG_NAME}_bench EXCLUDE_FROM_ALL ${benches})
    target_link_libraries(${ARG_NAME}_bench PRIVATE ${library} ${private_deps} ${test_deps}
                          narthex_warnings benchmark::benchmark benchmark::benchmark_main)
  endif()
  foreach(file IN LISTS fuzzers)
    get_filename_component(fuzzer ${file} NAME_WE)
    narthex_fuzzer(${fuzzer} ${file} ${library} ${private_deps} ${test_deps})
  endforeach()
endfunction()

# One fuzz target; its corpus, if any, lies in tests/corpus/<name>/.
function(narthex_fuzzer NAME FILE)
  if(NARTHEX_FUZZ)
    add_executable(${NAME} ${FILE})
    target_compile_options(${NAME} PRIVATE -fsanitize=fuzzer)
    target_link_options(${NAME} PRIVATE -fsanitize=fuzzer)
  else()
    add_executable(${NAME} ${FILE} ${PROJECT_SOURCE_DIR}/cmake/fuzz_replay.cc)
    add_test(NAME ${NAME} COMMAND ${NAME} ${PROJECT_SOURCE_DIR}/tests/corpus/${NAME})
  endif()
  target_link_libraries(${NAME} PRIVATE ${ARGN} narthex_warnings)
endfunction()
