using '../../infra/main.bicep'

// Every parameter away from its default.
param environmentName = 'full'
param location = 'northeurope'
param principalId = '00000000-0000-0000-0000-0000000000d2'
param principalType = 'ServicePrincipal'
param entraClientId = '00000000-0000-0000-0000-0000000000a2'
param entraAuthority = 'https://login.microsoftonline.com/00000000-0000-0000-0000-0000000000e2'
param entraCertificateName = 'entra-client'
param pythonVersion = '3.14'
param instanceMemoryMB = 4096
param maximumInstanceCount = 100
param httpConcurrency = 32
param alwaysReadyHttpInstances = 2
param rollingUpdates = true
param dataStorageSku = 'Standard_ZRS'
param logRetentionDays = 90
param recoverKeyVault = true
param customDomain = 'mail.example.com'
param customDomainThumbprint = '00112233445566778899AABBCCDDEEFF00112233'
param monthlyBudget = 50
param budgetContactEmails = 'ops@example.com, cost@example.com'
param alertEmails = 'ops@example.com, night@example.com'
param budgetStartDate = '2026-11-01'
