// A C view of c10d's Gloo and of tensors' memory, in the manner of ../shim.h.
#pragma once
#include "../shim.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct dist_group_s* dist_group;
typedef struct dist_work_s* dist_work;

// gloo.cpp; without headers of Gloo all of it says what to install
bool dist_has_gloo(void);
char* dist_join(uintptr_t store, int rank, int size, const char* address, int64_t timeout_ms, dist_group* out);
void dist_leave(dist_group g);
char* dist_sum(dist_group g, lt_tensor flat, dist_work* out);
char* dist_broadcast(dist_group g, lt_tensor flat, int from, dist_work* out);
char* dist_send(dist_group g, lt_tensor flat, int to, int tag, dist_work* out);
char* dist_receive(dist_group g, lt_tensor flat, int from, int tag, dist_work* out);
char* dist_wait(dist_work w);   // waits
void dist_abort(dist_work w);   // lets who waits for a message return with an error
void dist_forget(dist_work w);  // frees

// memory.cpp
char* dist_dense(lt_tensor t, lt_tensor* out);  // the same elements without gaps, in t's order of dimensions
char* dist_flat(lt_tensor dense, lt_tensor* out);
int dist_strides(lt_tensor t, int64_t* out);
char* dist_empty(int device, int dtype, int dim, const int64_t* sizes, const int64_t* strides, lt_tensor* out);
char* dist_pack(const lt_tensor* ts, int n, const double* tail, int tails, lt_tensor* out);
char* dist_unpack(lt_tensor flat, const lt_tensor* like, int n, lt_tensor* out);
char* dist_tail(lt_tensor flat, int tails, double* out);
char* dist_to_host(lt_tensor t, lt_tensor* out);

// store.go: 0 where it has failed
extern int distStoreSet(uintptr_t store, char* key, void* value, size_t n);
extern int distStoreGet(uintptr_t store, char* key, void** value, size_t* n);  // the caller frees

#ifdef __cplusplus
}
#endif
