// A C view of libtorch, hand-written, in the order of the Go files that call it.
//
// Every fallible function returns NULL, or a message that the caller frees; results go through out-pointers. The first
// byte of a message is an lt_kind, the text follows.
// `grad` carries the grad mode of that one call: libtorch keeps it per thread, and goroutines move between threads.
// A tensor handle is owned by whoever received it and is given back with lt_free.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct lt_tensor_s* lt_tensor;

// error.go
enum lt_kind {
  LT_OTHER = 'o',
  LT_MEMORY = 'm',       // there was not enough of it
  LT_UNSUPPORTED = 'u',  // libtorch has no such operation for these types or this device
};

// engine.go
const char* lt_version(void);
char* lt_blas(void);        // the caller frees
const char* lt_cpu_capability(void);
bool lt_has_onednn(void);
void lt_set_threads(int n);       // of the process: engine and BLAS
void lt_set_blas_threads(int n);  // of the process: BLAS
void lt_set_own_threads(int n);   // of the calling OS thread, for good
int lt_threads(void);             // of the calling OS thread

// cuda.go
bool lt_has_driver(void);        // NVIDIA's, on this machine
char* lt_load_cuda(void);        // before anything else is asked of libtorch; NULL where its CUDA half is loaded
char* lt_driver(void);           // release of the NVIDIA driver, "" where there is none; the caller frees
int lt_cuda_version(void);       // of libtorch's CUDA runtime, 13000 for 13.0; 0 where that is not loaded
int lt_cudnn_version(void);      // 91900 for 9.19.0; 0 where there is none
int lt_cards(void);
bool lt_card(int i, char* name, int room, int64_t* total);
void lt_set_arithmetic(bool tf32, bool deterministic);
char* lt_synchronize(int device);
char* lt_memory(int device, int64_t* live, int64_t* peak, int64_t* total, int64_t* free_);
char* lt_reset_peak_of(int device);

// meter.go
void lt_meter_install(void);
int64_t lt_fresh_bytes(void);
int64_t lt_live_bytes(void);
int64_t lt_peak_bytes(void);
void lt_reset_peak(void);
int64_t lt_live_tensors(void);

// tensor.go
void lt_free(lt_tensor t);
int lt_dtype(lt_tensor t);
int lt_device(lt_tensor t);  // devices are numbered as Go's Device: 0 the CPU, 1 + i CUDA device i, -1 the test device
int lt_dim(lt_tensor t);
void lt_sizes(lt_tensor t, int64_t* out);
int64_t lt_nbytes(lt_tensor t);
char* lt_full(int device, int dtype, const int64_t* sizes, int dim, double value, bool channels_last, lt_tensor* out);
char* lt_from_data(int device, int dtype, const int64_t* sizes, int dim, const void* data, size_t nbytes, lt_tensor* out);
char* lt_constant(int device, int dtype, const int64_t* sizes, int dim, const double* values, size_t n, lt_tensor* out);
char* lt_from_images(int device, int dtype, const uint8_t* pixels, int64_t n, int64_t h, int64_t w, int64_t c,
                     const float* mean, const float* std_, lt_tensor* out);
char* lt_to_data(lt_tensor t, void* data, size_t nbytes);
char* lt_elements(lt_tensor t, void** out);
char* lt_item(lt_tensor t, double* out);
char* lt_alias(lt_tensor t, lt_tensor* out);
char* lt_detach(lt_tensor t, lt_tensor* out);
char* lt_zeros_like(lt_tensor t, lt_tensor* out);
char* lt_clone(bool grad, lt_tensor t, lt_tensor* out);
char* lt_cast(bool grad, lt_tensor t, int dtype, lt_tensor* out);
char* lt_channels_last(bool grad, lt_tensor t, lt_tensor* out);
char* lt_copy_(lt_tensor dst, lt_tensor src);
char* lt_equal(lt_tensor a, lt_tensor b, bool* out);
char* lt_all_finite(const lt_tensor* ts, int n, bool* out);

// random.go
char* lt_normal_(lt_tensor t, double mean, double std_, uint64_t seed);
char* lt_uniform_(lt_tensor t, double low, double high, uint64_t seed);
char* lt_chance(lt_tensor like, double p, uint64_t seed, lt_tensor* out);

// layers.go
char* lt_conv2d(bool grad, lt_tensor x, lt_tensor w, lt_tensor b, int64_t stride, int64_t padding, lt_tensor* out);
char* lt_linear(bool grad, lt_tensor x, lt_tensor w, lt_tensor b, lt_tensor* out);
char* lt_batch_norm(bool grad, lt_tensor x, lt_tensor w, lt_tensor b, lt_tensor mean, lt_tensor var, bool train,
                    double momentum, double eps, lt_tensor* out);
char* lt_relu(bool grad, lt_tensor x, lt_tensor* out);
char* lt_relu_(bool grad, lt_tensor x);
char* lt_gelu_tangent(bool grad, lt_tensor along, lt_tensor x, lt_tensor* out);
char* lt_tanh(bool grad, lt_tensor x, lt_tensor* out);
char* lt_flatten(bool grad, lt_tensor x, int64_t start, lt_tensor* out);
char* lt_cross_entropy(bool grad, lt_tensor logits, lt_tensor labels, double smoothing, lt_tensor* out);
char* lt_cross_entropy_tangent(bool grad, lt_tensor along, lt_tensor logits, lt_tensor labels, double smoothing,
                               lt_tensor* out);
char* lt_softmax(bool grad, lt_tensor x, lt_tensor* out);
void lt_forget_constants(void);
char* lt_one_hot(bool grad, lt_tensor labels, int64_t classes, lt_tensor* out);
char* lt_topk_correct(lt_tensor logits, lt_tensor labels, int64_t k, lt_tensor* out);

// card.go
void lt_set_kernels(const char* text);
char* lt_kernels(int device);  // why not, or nothing; the caller frees
char* lt_kernels_compile(const char* architecture, bool bf16, int64_t* bytes);  // the same

// peers.go: who has the other parts of a batch; as many as 1 are nobody
typedef struct {
  uintptr_t id;
  int count;
} lt_peers;
extern int ltPeersSum(uintptr_t id, double* values, int64_t n);  // over all parts, in place; 0 where it has failed

// norm.go
char* lt_batch_norm_act(bool grad, lt_tensor x, lt_tensor add, lt_tensor w, lt_tensor b, lt_tensor mean, lt_tensor var,
                        bool train, double momentum, double eps, bool relu, lt_tensor gates, bool record, lt_peers peers,
                        lt_tensor* y, lt_tensor* recorded);
char* lt_batch_norm_act_tangent(bool grad, lt_tensor along, lt_tensor add, lt_tensor x, lt_tensor w, lt_tensor gates,
                                double eps, lt_peers peers, lt_tensor* y);

// remake.go
char* lt_product_remaking(bool grad, lt_tensor x, lt_tensor w, lt_tensor b, int64_t stride, int64_t padding,
                          lt_tensor* out);
bool lt_remakable(lt_tensor t);
char* lt_gelu(bool grad, lt_tensor x, lt_tensor* out);

// pool.go
char* lt_max_pool2d(bool grad, lt_tensor x, int64_t k, int64_t stride, int64_t padding, lt_tensor choice, lt_tensor* y,
                    lt_tensor* made);
char* lt_adaptive_avg_pool2d(bool grad, lt_tensor x, int64_t side, lt_tensor* out);
char* lt_max_pool2d_adjoint(lt_tensor dy, lt_tensor choice, lt_tensor x, int64_t k, int64_t stride, int64_t padding,
                            lt_tensor* dx);
char* lt_adaptive_avg_pool2d_adjoint(lt_tensor dy, lt_tensor x, lt_tensor* dx);

// adjoint.go
char* lt_product_to_input(lt_tensor dy, lt_tensor x, lt_tensor w, int64_t stride, int64_t padding, lt_tensor* dx);
char* lt_product_to_weight(lt_tensor dy, lt_tensor x, lt_tensor w, int64_t stride, int64_t padding, lt_tensor* dw,
                           lt_tensor* db);
char* lt_product_feedback(bool grad, lt_tensor x, lt_tensor w, lt_tensor b, lt_tensor feedback, int64_t stride,
                          int64_t padding, lt_tensor* y);

// tokens.go
char* lt_layer_norm(bool grad, lt_tensor x, lt_tensor w, lt_tensor b, double eps, lt_tensor* out);
char* lt_attention(bool grad, lt_tensor qkv, lt_tensor bias, int64_t tokens, int64_t heads, const int64_t* regions, int n,
                   lt_tensor* out);
char* lt_move_rows(bool grad, lt_tensor x, const int64_t* to, int rows, lt_tensor* out);

// shape.go
char* lt_reshape(bool grad, lt_tensor x, const int64_t* sizes, int dim, lt_tensor* out);
char* lt_permute(bool grad, lt_tensor x, const int64_t* dims, int dim, lt_tensor* out);
char* lt_expand(bool grad, lt_tensor x, const int64_t* sizes, int dim, lt_tensor* out);
char* lt_narrow(bool grad, lt_tensor x, int64_t dim, int64_t start, int64_t length, lt_tensor* out);
char* lt_cat(bool grad, lt_tensor a, lt_tensor b, int64_t dim, lt_tensor* out);
char* lt_index_select(bool grad, lt_tensor x, lt_tensor index, lt_tensor* out);

// loss.go
char* lt_upsample_bilinear(bool grad, lt_tensor x, int64_t h, int64_t w, lt_tensor* out);
char* lt_binary_cross_entropy(bool grad, lt_tensor logits, lt_tensor target, lt_tensor* out);
char* lt_normalize_rows(bool grad, lt_tensor x, double floor, lt_tensor* out);
char* lt_supervised_contrast(bool grad, lt_tensor z, lt_tensor labels, double temperature, lt_tensor* out);

// math.go
char* lt_add(bool grad, lt_tensor a, lt_tensor b, double alpha, lt_tensor* out);
char* lt_mul(bool grad, lt_tensor a, lt_tensor b, lt_tensor* out);
char* lt_div(bool grad, lt_tensor a, lt_tensor b, lt_tensor* out);
char* lt_scale(bool grad, lt_tensor a, double factor, lt_tensor* out);
char* lt_sqrt(bool grad, lt_tensor a, lt_tensor* out);
char* lt_clamp_min(bool grad, lt_tensor a, double min, lt_tensor* out);
char* lt_clamp_max(bool grad, lt_tensor a, double max, lt_tensor* out);
char* lt_max(lt_tensor a, lt_tensor* out);
char* lt_sum(bool grad, lt_tensor a, lt_tensor* out);
char* lt_mean_dim(bool grad, lt_tensor a, int64_t dim, lt_tensor* out);
char* lt_sum_rows(bool grad, lt_tensor a, lt_tensor* out);
char* lt_is_zero(lt_tensor a, lt_tensor* out);
char* lt_mul_(bool grad, lt_tensor a, lt_tensor b);
char* lt_zero_where(bool grad, lt_tensor a, lt_tensor mask, double scale, lt_tensor* out);
char* lt_zero_where_(bool grad, lt_tensor a, lt_tensor mask);
char* lt_add_(bool grad, lt_tensor a, lt_tensor b, double alpha);
char* lt_add_scalar_(lt_tensor a, double value);
char* lt_norm(lt_tensor a, double* out);

// rows.go
char* lt_row_dots(lt_tensor a, lt_tensor b, lt_tensor* aa, lt_tensor* ab, lt_tensor* bb);
char* lt_add_rows(lt_tensor x, lt_tensor a, lt_tensor b, lt_tensor p, lt_tensor q, lt_tensor* out);

// number.go
char* lt_sum_in_order(lt_tensor a, lt_tensor* out);
char* lt_norms(const lt_tensor* ts, int n, lt_tensor* out);
char* lt_stack(const lt_tensor* ts, int n, lt_tensor* out);
char* lt_scale_by_(const lt_tensor* ts, int n, lt_tensor factor);
char* lt_scale_each_(const lt_tensor* ts, int n, lt_tensor factors);
char* lt_normal_by_(lt_tensor t, lt_tensor std_, uint64_t seed);

// reading.go
typedef struct lt_reading_s* lt_reading;  // owned by whoever began it
char* lt_read_begin(lt_tensor t, lt_reading* out);
char* lt_read_end(lt_reading r, double* out, int n);  // waits
void lt_read_free(lt_reading r);

// graph.go
char* lt_records(int device);  // why a device does not record, "" where it does; the caller frees
typedef struct lt_graph_s* lt_graph;  // owned by whoever began it
char* lt_graph_begin(int device, lt_graph beside, lt_graph* out);  // beside may be null
char* lt_graph_end(lt_graph g);
char* lt_graph_launch(lt_graph g);
void lt_graph_free(lt_graph g);

// autograd.go
int64_t lt_recorded(void);
char* lt_set_requires_grad(lt_tensor t, bool on);
char* lt_grad(lt_tensor y, lt_tensor grad_output, const lt_tensor* inputs, int n, bool create_graph, bool retain_graph, lt_tensor* outs);

// foreach.go
char* lt_foreach_scale_(const lt_tensor* a, int n, double factor);
char* lt_foreach_add_(const lt_tensor* a, const lt_tensor* b, int n, double alpha);
char* lt_foreach_addcmul_(const lt_tensor* a, const lt_tensor* b, const lt_tensor* c, int n, double alpha);
char* lt_foreach_addcdiv_(const lt_tensor* a, const lt_tensor* b, const lt_tensor* c, int n, double alpha);
char* lt_foreach_sqrt_of_(const lt_tensor* a, const lt_tensor* b, int n, double factor, double eps);

#ifdef __cplusplus
}
#endif
