// A monthly amount, and mails when it is nearly used up. It stops nothing.

@description('Name of the budget.')
param name string

@description('The amount a month, in the currency of the bill.')
param amount int

@description('Who gets a mail beside the owners of the resource group.')
param contactEmails string[]

@description('First day of a month, as 2026-11-01. Cannot be changed later.')
param startDate string

// Made once: Azure does not let the start be changed, and the default start is this month. A new amount is set in the
// portal, or the budget deleted before the next deployment.
@onlyIfNotExists()
resource budget 'Microsoft.Consumption/budgets@2024-08-01' = {
  name: name
  properties: {
    amount: amount
    category: 'Cost'
    timeGrain: 'Monthly'
    timePeriod: { startDate: startDate }
    notifications: {
      nearlyUsedUp: {
        contactEmails: contactEmails
        contactRoles: ['Owner']
        enabled: true
        operator: 'GreaterThanOrEqualTo'
        threshold: 80
        thresholdType: 'Actual'
      }
      foreseen: {
        contactEmails: contactEmails
        contactRoles: ['Owner']
        enabled: true
        operator: 'GreaterThanOrEqualTo'
        threshold: 100
        thresholdType: 'Forecasted'
      }
    }
  }
}
