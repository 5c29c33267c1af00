# Compiler, linker and warning settings that hold for every target of the project.
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release)
endif()
set(CMAKE_CXX_FLAGS_RELEASE "-O2 -DNDEBUG -fno-plt -fno-semantic-interposition")
set(CMAKE_CXX_FLAGS_DEBUG "-O1 -g1 -fno-omit-frame-pointer")

find_program(NARTHEX_CCACHE ccache)
if(NARTHEX_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${NARTHEX_CCACHE})
  set(CMAKE_C_COMPILER_LAUNCHER ${NARTHEX_CCACHE})
endif()
if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  find_program(NARTHEX_LLD NAMES ld.lld-19 ld.lld)
  if(NARTHEX_LLD)
    add_link_options(--ld-path=${NARTHEX_LLD})
  endif()
  add_compile_options(-fcolor-diagnostics)
endif()
add_link_options(-Wl,--gc-sections -Wl,--as-needed)
add_compile_options($<$<COMPILE_LANGUAGE:CXX,C>:-ffunction-sections>
                    $<$<COMPILE_LANGUAGE:CXX,C>:-fdata-sections>)

if(NARTHEX_SANITIZE)
  add_compile_options(-fsanitize=${NARTHEX_SANITIZE} -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${NARTHEX_SANITIZE})
endif()

# Warnings for our own code only: linked PRIVATE by narthex_library and its tests.
add_library(narthex_warnings INTERFACE)
target_compile_options(narthex_warnings INTERFACE -Wall -Wextra -Wshadow -Wconversion -Werror)
if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  # clang warns of a function that libstdc++ 12 itself deprecates and calls in std::stable_sort.
  target_compile_options(narthex_warnings INTERFACE -Wthread-safety -Wno-sign-conversion
                                                    -Wno-deprecated-declarations
                                                    -Wno-missing-field-initializers)
else()
  target_compile_options(narthex_warnings INTERFACE -Wno-sign-conversion
                                                    -Wno-missing-field-initializers)
endif()
