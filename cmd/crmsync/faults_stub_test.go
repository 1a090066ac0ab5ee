package main

var crmRows, webhookRows, timeRows, diskRows []row
