// What records work of a device: CUDA's, in a library of its own that needs CUDA's headers, and that of the test device.
#pragma once

extern "C" {

// Each fallible function returns NULL, or a message that the caller frees.
typedef struct lt_recorder {
  // What the process gives to the device from here on is recorded, and not done. It works in the same memory as another graph
  // of the recorder's, unless that is null: see torch.Device.RecordBeside.
  char* (*begin)(int index, void* beside, void** graph);
  char* (*end)(void* graph);     // until here; called on the thread that began
  char* (*launch)(void* graph);  // does it, behind what the device has been given before
  void (*drop)(void* graph);     // also between begin and end
} lt_recorder;

}
