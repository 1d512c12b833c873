"use strict";

const part = (id) => document.getElementById(id);
let shown = ""; // address of the picture on the page

function say(text, bad) {
  part("status").textContent = text;
  part("status").classList.toggle("bad", Boolean(bad));
}

function show(file) {
  URL.revokeObjectURL(shown);
  shown = URL.createObjectURL(file);
  part("picture").src = shown;
  part("picture").hidden = false;
  part("hint").hidden = true;
}

function list(classes) {
  for (const c of classes) {
    const row = part("answer").insertRow();
    row.insertCell().textContent = c.class;
    row.insertCell().textContent = (100 * c.probability).toFixed(1) + " %";
    const bar = document.createElement("meter");
    bar.value = c.probability;
    row.insertCell().append(bar);
  }
}

async function classify(file) {
  if (!file) return;
  show(file);
  part("answer").replaceChildren();
  say("Looking…");
  const began = performance.now();
  try {
    const response = await fetch("predict", {
      method: "POST", body: file, headers: { "Content-Type": "application/octet-stream" },
    });
    const answer = await response.json();
    if (!response.ok) throw new Error(answer.error);
    const first = answer.predictions[0];
    list(first.classes);
    say(`Answered by module ${first.module} in ${Math.round(performance.now() - began)} ms.`);
  } catch (error) {
    say(error.message, true);
  }
}

const drop = part("drop");
for (const name of ["dragenter", "dragover"]) {
  drop.addEventListener(name, (event) => { event.preventDefault(); drop.classList.add("over"); });
}
for (const name of ["dragleave", "drop"]) {
  drop.addEventListener(name, (event) => { event.preventDefault(); drop.classList.remove("over"); });
}
drop.addEventListener("drop", (event) => classify(event.dataTransfer.files[0]));
document.addEventListener("paste", (event) => classify(event.clipboardData.files[0]));
part("file").addEventListener("change", (event) => classify(event.target.files[0]));
