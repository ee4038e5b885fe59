// The canvas of the tab Digits: black on white; what is drawn goes to the models each time the pen is lifted.
const canvas = element.querySelector("canvas");
const pen = canvas.getContext("2d", { willReadFrequently: true });

function clear() {
  pen.fillStyle = "white";
  pen.fillRect(0, 0, canvas.width, canvas.height);
}

function drawTo(event) {
  const box = canvas.getBoundingClientRect();
  pen.lineTo(((event.clientX - box.left) * canvas.width) / box.width, ((event.clientY - box.top) * canvas.height) / box.height);
  pen.stroke();
}

function send() {
  trigger("input", { drawing: canvas.toDataURL("image/png") });
}

clear();
pen.lineWidth = 22; // about a tenth of a digit, as in MNIST
pen.lineCap = pen.lineJoin = "round";
canvas.addEventListener("pointerdown", (event) => {
  canvas.setPointerCapture(event.pointerId);
  pen.beginPath();
  drawTo(event);
  drawTo(event); // a dot, if the pen does not move
});
canvas.addEventListener("pointermove", (event) => event.buttons && drawTo(event));
canvas.addEventListener("pointerup", send);
element.querySelector("button").addEventListener("click", () => {
  clear();
  send();
});
