package main

var brokerRows, databaseRows, crmRows, webhookRows, timeRows, diskRows []row
