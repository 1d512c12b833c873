// How a program that starts without libtorch calls the engine: through pointers that are looked up when they are first used.
#pragma once

extern "C" {
// Loads the engine and lets Go set it up, once. Whoever calls while another thread does waits.
__attribute__((weak)) void lt_need(void);
// Where the engine has a function; it ends the process where it has none.
__attribute__((weak)) void* lt_symbol(const char* name);
}

#define ENGINE(f)                                                          \
  [] {                                                                     \
    lt_need();                                                             \
    static const auto at = reinterpret_cast<decltype(&f)>(lt_symbol(#f));  \
    return at;                                                             \
  }()
