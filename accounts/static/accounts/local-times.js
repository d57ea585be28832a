// Shows the times of the page in the user's time zone. Without JavaScript they are in UTC.
const format = new Intl.DateTimeFormat(document.documentElement.lang || undefined, {
  year: "numeric",
  month: "long",
  day: "numeric",
  hour: "numeric",
  minute: "2-digit",
  timeZoneName: "short",
});
for (const element of document.querySelectorAll("time[datetime]")) {
  const time = new Date(element.dateTime);
  if (Number.isNaN(time.getTime())) continue;
  element.title = element.textContent;
  element.textContent = format.format(time);
}
