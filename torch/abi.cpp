//go:build !lazyengine

// Names the functions that an engine has, for the program that loads it.
#include "abi.h"

extern "C" void ENGINE_ABI(void) {}
