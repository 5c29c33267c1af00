# Run by the build (cmake -P): turns a folder of web assets into one assembler file with the gzipped
# bytes and one C++ table that names them.
#
#   cmake -DFOLDER=ui/dist -DOUTPUT=<build>/assets -P EmbedAssets.cmake
#
# Gzipped at build time, so that serving costs nothing and the executable stays small.
file(GLOB_RECURSE files LIST_DIRECTORIES false RELATIVE ${FOLDER} ${FOLDER}/*)
list(SORT files)
file(MAKE_DIRECTORY ${OUTPUT}/gz)
set(assembly "# Generated: gzipped web assets.\n  .section .rodata\n")
set(table "")
set(index 0)
foreach(file IN LISTS files)
  set(packed ${OUTPUT}/gz/${index}.gz)
  execute_process(COMMAND gzip -9 -n -c ${FOLDER}/${file} OUTPUT_FILE ${packed}
                  RESULT_VARIABLE result)
  if(NOT result EQUAL 0)
    message(FATAL_ERROR "cannot compress ${FOLDER}/${file}")
  endif()
  string(APPEND assembly
    "  .global narthex_asset_${index}_begin\n  .global narthex_asset_${index}_end\n"
    "narthex_asset_${index}_begin:\n  .incbin \"${packed}\"\nnarthex_asset_${index}_end:\n")
  string(APPEND declarations
    "extern const char narthex_asset_${index}_begin[], narthex_asset_${index}_end[];\n")
  string(APPEND table
    "    {\"${file}\", {narthex_asset_${index}_begin, narthex_asset_${index}_end}},\n")
  math(EXPR index "${index} + 1")
endforeach()
string(APPEND assembly "  .section .note.GNU-stack,\"\",@progbits\n")
file(WRITE ${OUTPUT}/assets.S.new "${assembly}")
file(WRITE ${OUTPUT}/assets_table.inc.new
  "// Generated: names and gzipped bytes of the web assets.\nextern \"C\" {\n${declarations}}\n"
  "constexpr EmbeddedAsset kAssets[] = {\n${table}    {\"\", {nullptr, nullptr}},\n};\n")
file(RENAME ${OUTPUT}/assets.S.new ${OUTPUT}/assets.S)
file(RENAME ${OUTPUT}/assets_table.inc.new ${OUTPUT}/assets_table.inc)
