// Copies and prints the recovery codes of the page. Without JavaScript there is the link that downloads them.
const codes = [...document.querySelectorAll("#recovery-codes code")].map((element) => element.textContent);
const copy = document.getElementById("copy");
const print = document.getElementById("print");

print.hidden = false;
print.addEventListener("click", () => window.print());
if (navigator.clipboard) {
  copy.hidden = false;
  copy.addEventListener("click", async () => {
    await navigator.clipboard.writeText(`${codes.join("\n")}\n`);
    copy.textContent = copy.dataset.done;
  });
}
