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

// nccl.cpp. Whatever may take long can be ended by dist_nccl_abort from another thread.
typedef struct dist_nccl_s* dist_nccl;          // the library
typedef struct dist_comm_s* dist_comm;          // a communicator, with a stream of its own on a card
typedef struct dist_transfer_s* dist_transfer;  // tensors under way
#define DIST_NCCL_ID 128                        // bytes by which the ranks of a communicator find each other
char* dist_card(int device, char* out, int room);  // a name that no other card has; "" where nobody knows
char* dist_nccl_load(const char* path, int* version, bool* on_host, dist_nccl* out);  // "" is wherever it is found
char* dist_nccl_id(dist_nccl l, void* id);
char* dist_nccl_join(dist_nccl l, const void* id, int rank, int size, int device, dist_comm* out);  // waits for all
char* dist_nccl_prepare(dist_comm c, const lt_tensor* ts, int n, dist_transfer* out);  // when the caller's stream has made them
char* dist_nccl_sum(dist_transfer t);
char* dist_nccl_broadcast(dist_transfer t, int from);
char* dist_nccl_move(dist_transfer t, int peer, bool out);
char* dist_nccl_passed(dist_transfer t, bool* out);  // asks whether it is done
char* dist_nccl_behind(dist_transfer t);             // lets the caller's stream wait for it
void dist_nccl_forget(dist_transfer t);              // frees
char* dist_nccl_trouble(dist_comm c);                // what has happened since
void dist_nccl_abort(dist_comm c);                   // gives up what is under way, and the communicator
void dist_nccl_leave(dist_comm c);                   // when nothing is under way

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
