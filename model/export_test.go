package model

// Bicubic is for tests.
var Bicubic = bicubic
