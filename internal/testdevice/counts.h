// What happens on the test device, counted.
#pragma once
#include <cstdint>
#include <string>

namespace testdevice {

// An operation that a device launches.
void launched(const std::string& operation);
// The processor waits until the device has done all that it was given: a value is read, or a copy awaited.
void stalled(const std::string& cause);
void copied_to_host(int64_t bytes);
void copied_from_host(int64_t bytes);

}  // namespace testdevice
