  .section .rodata
  .global narthex_push_index_begin, narthex_push_index_end
narthex_push_index_begin: .incbin "index.html"
narthex_push_index_end:
  .global narthex_push_css_begin, narthex_push_css_end
narthex_push_css_begin: .incbin "page.css"
narthex_push_css_end:
  .global narthex_push_js_begin, narthex_push_js_end
narthex_push_js_begin: .incbin "page.js"
narthex_push_js_end:
  .section .note.GNU-stack,"",@progbits
