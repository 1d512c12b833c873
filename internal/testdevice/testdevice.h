// What Go sees of the test device.
#pragma once
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
  int64_t to_host, from_host, held, peak, freed_early;
} td_bytes;

// Counts since the last call: a line for each operation, "name launches stalls". The caller frees them.
char* td_take(td_bytes* bytes);

// The address of a tensor that was there for this call.
uintptr_t td_address(void);

#ifdef __cplusplus
}
#endif
